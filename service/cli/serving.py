"""`serve` and `deliver`: the processes that run until they are told to stop."""

from __future__ import annotations

import gc
import threading
from time import monotonic

import click
from prometheus_client import start_http_server

from service.bootstrap import Services, start
from service.cli.console import EXIT_FAULT, configure_logging, fail, read_settings
from service.cli.listener import Listener
from service.cli.stopping import hold_signals, tell, until_told
from service.cli.worker import DeliveryThreads
from service.config import PREFIX, ConfigurationInvalid, Settings, check_listening
from service.records.outbox import State
from service.records.worker import DeliveryReport
from service.web.app import create_app


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--no-deliver", is_flag=True, help="Leave deliveries to 'symptom-intake deliver'.")
def serve(host: str, port: int, no_deliver: bool) -> None:
    """Serve HTTP, and deliver to the FHIR server that is set. SIGTERM or Ctrl-C ends both, in order.

    \b
    Examples:
      symptom-intake serve
      SYMPTOM_INTAKE_FHIR_SERVER_URL=http://localhost:8080/fhir symptom-intake serve --port 9000
    """
    settings = read_settings()
    check_listening(settings, host)
    configure_logging(settings.log_level, settings.log_format)
    services = start(settings)
    worker = DeliveryThreads(services)
    stopping = threading.Event()
    app = create_app(services.site((lambda: None) if no_deliver else worker.alive, stopping.is_set))
    try:
        listener = Listener(app, host, port, settings.trusted_proxy)
    except OSError as fault:
        fail(f"Cannot listen on {host} port {port}: {fault.strerror}. Choose another with --port.")
    except ValueError:
        fail(f"Cannot listen on '{host}': it is no address of this machine. Choose another with --host.")
    hold_signals()
    settle_memory()
    if not no_deliver:
        worker.start()
    listener.start(on_failure=tell)
    click.echo(f"Symptom Intake serves {listener.address}/ (FHIR: {listener.address}/fhir)")
    click.echo(_delivery_line(services, no_deliver=no_deliver))
    until_told()
    if listener.has_failed:
        fail("The HTTP server ended by itself; the log has the reason.")
    click.echo(_stopping_line(settings))
    deadline = monotonic() + settings.stop_seconds
    stopping.set()
    worker.begin_stop()
    listener.stop(settings.stop_seconds)
    worker.stop(deadline - monotonic())
    services.store.close()
    click.echo("Stopped.")


@click.command()
@click.option("--once", is_flag=True, help="Deliver what is due now, then end; exit code 1 if something failed.")
@click.option("--metrics-host", default="127.0.0.1", show_default=True, help="Address to serve /metrics on.")
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Port to serve /metrics on; 0 takes a free one.")
def deliver(once: bool, metrics_host: str, metrics_port: int | None) -> None:
    """Deliver what waits to the FHIR server that is set. Any number of these may run beside each other.

    \b
    Examples:
      symptom-intake deliver --metrics-port 9100
      symptom-intake deliver --once
    """
    settings = read_settings()
    configure_logging(settings.log_level, settings.log_format)
    if settings.fhir_server_url is None and settings.ehrs is None and settings.webhook_url is None:
        raise ConfigurationInvalid(
            f"{PREFIX}FHIR_SERVER_URL: set the base address of the server to deliver to (or {PREFIX}EHRS, or "
            f"{PREFIX}WEBHOOK_URL)"
        )
    services = start(settings)
    try:
        if once:
            _deliver_once(services)
            return
        hold_signals()
        settle_memory()
        if metrics_port is not None:
            _serve_metrics(services, metrics_host, metrics_port)
        _deliver_until_told(services)
    finally:
        services.store.close()


def settle_memory() -> None:
    """Spare the garbage collector what is loaded by now: it stays until the end, and going through it takes long."""
    gc.collect()
    gc.freeze()


def _delivery_line(services: Services, *, no_deliver: bool) -> str:
    told = " Your webhook is told of urgent results." if services.settings.webhook_url is not None else ""
    if not services.fhir_servers:
        return f"No FHIR server is set ({PREFIX}FHIR_SERVER_URL): the record is kept here alone.{told}"
    named = ", ".join(services.fhir_servers)
    if no_deliver:
        return f"Responses wait for 'symptom-intake deliver' to bring them to {named}.{told}"
    return f"Delivering to {named}.{told}"


def _stopping_line(settings: Settings) -> str:
    return f"Stopping: what is under way has {settings.stop_seconds:g} seconds. Tell it again to end it at once."


def _deliver_once(services: Services) -> None:
    failed = False
    for target in services.targets:
        worker = services.worker(target)
        while (report := worker.run_once()) is not None:
            failed = failed or report.letter.state is not State.DELIVERED
            click.echo(_report_line(report))
    if failed:
        raise click.exceptions.Exit(EXIT_FAULT)


def _serve_metrics(services: Services, host: str, port: int) -> None:
    try:
        server, _ = start_http_server(port, host, services.metrics.registry)
    except OSError as fault:
        fail(f"Cannot listen on {host} port {port}: {fault.strerror}. Choose another with --metrics-port.")
    click.echo(f"Metrics are at http://{host}:{server.server_port}/metrics")


def _deliver_until_told(services: Services) -> None:
    worker = DeliveryThreads(services)
    worker.start()
    click.echo(_delivery_line(services, no_deliver=False))
    until_told()
    click.echo(_stopping_line(services.settings))
    worker.stop(services.settings.stop_seconds)
    click.echo("Stopped.")


def _report_line(report: DeliveryReport) -> str:
    letter = report.letter
    why = f": {letter.problem.text}" if letter.problem else ""
    return f"Delivery {letter.id} of QuestionnaireResponse/{letter.response_id}: {letter.state.value}{why}"
