// What the EHR shows its user. No page needs scripts.
const escaped = (text) => String(text).replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

const page = (title, body) => `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title></head>
<body><main><h1>${escaped(title)}</h1>
${body}
</main></body></html>
`;

const choice = ({ id, name }) =>
  `<p><label><input type="radio" name="patient" value="${escaped(id)}" required> ${escaped(name)}</label></p>`;

// Signing in and consent in one; with `choices` ({id, name}) the user also says which patient it is about.
export function consentPage({ action, client, scope, choices }) {
  const picker = choices.length
    ? `<fieldset><legend>Which patient?</legend>\n${choices.map(choice).join("\n")}\n</fieldset>`
    : "";
  return page(
    "Test EHR",
    `<p>${escaped(client.clientName ?? client.clientId)} asks for: ${escaped(scope)}</p>
<form method="post" action="${escaped(action)}">
${picker}
<button name="answer" value="allow">Sign in and allow</button>
<button name="answer" value="refuse" formnovalidate>Refuse</button>
</form>`,
  );
}

export function errorPage({ error, error_description: description }) {
  return page("The EHR refuses this request", `<p>${escaped(error)}: ${escaped(description ?? "")}</p>`);
}
