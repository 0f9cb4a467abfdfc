"""A person who fills in the form of the shipped page in a browser: a case that is to be seen within days."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

STEPS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("danger signs", "None of these"),),
    (("How long does the twitching", "Seconds"), ("How often", "Every day")),
    (("Which muscles", "Hand"), ("On which side", "Left"), ("same place", "Yes")),
    (("muscles weak", "No, my muscles are not weak"), ("other symptoms", "Muscles that have become thinner")),
    (("16 years", "Yes"), ("Are you pregnant", "No, or this does not apply to me")),
    (
        ("Which of these medicines", "I take no medicines"),
        ("Do any of these apply", "None of these"),
        ("health care provider", "None of these"),
    ),
)
"""Step by step: words of a question, and the option chosen."""


def choose(page: Page, question: str, *options: str) -> None:
    """Choose options of a question, by the words that a person reads."""
    group = page.get_by_role("group", name=question)
    for option in options:
        group.get_by_label(option, exact=True).check()


def press(button: Locator) -> None:
    """Press a button or link that leads to another page, and wait until that is there."""
    with button.page.expect_navigation():
        button.click()


def go_on(page: Page) -> None:
    """Press the button that ends the step."""
    press(page.locator(".actions button").first)


def fill(page: Page, start: int = 0) -> None:
    """Answer the steps from `start` on, and send the answers; what is proposed from the record is confirmed."""
    for step in STEPS[start:]:
        for question, option in step:
            choose(page, question, option)
        for confirmation in page.get_by_label("I have checked this answer, and it is right").all():
            confirmation.check()
        go_on(page)
    press(page.get_by_role("button", name="Send my answers"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Be seen within days")
