"""The web application."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask

from service.web.answer_words import reason_words, told_on
from service.web.auth import register_auth
from service.web.cds_hooks import cds_routes
from service.web.errors import register_errors
from service.web.fhir_api import fhir_routes
from service.web.form import form_routes
from service.web.form_view import RIGHT_TO_LEFT
from service.web.helplines import dialled
from service.web.interface import register_languages
from service.web.monitoring import monitoring_routes
from service.web.mounting import mounted
from service.web.operations import operation_routes
from service.web.populating import questionnaire_operation_routes
from service.web.published_api import published_routes
from service.web.rate_limit import register_rate_limit
from service.web.rest import register_negotiation
from service.web.result import result_routes
from service.web.security import register_cors, register_request_id, register_security_headers, register_trusted_hosts
from service.web.site import Site
from service.web.smart import smart_routes
from service.web.start import start_routes
from service.web.summary import summary_routes

# The addresses of static files carry the release, so browsers may keep them.
_STATIC_SECONDS = 86_400


def create_app(site: Site) -> Flask:
    """The Flask application that serves `site`. It keeps no state but the counters of `site.metrics`."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = site.max_body_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = site.max_body_bytes
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = _STATIC_SECONDS
    app.config["SESSION_COOKIE_SECURE"] = (site.public_url or "").startswith("https:")
    app.url_map.strict_slashes = False
    register_request_id(app, site.new_id)
    register_security_headers(app, site.frame_origins, site.new_key)
    register_trusted_hosts(app, site.trusts_host)
    register_cors(app, site.cors_origins)
    register_errors(app, site.max_body_bytes, site.metrics)
    if site.rate_limit is not None:
        register_rate_limit(app, site.rate_limit)
    register_auth(app, site)
    register_negotiation(app)
    register_languages(app)
    app.register_blueprint(published_routes(site))
    app.register_blueprint(fhir_routes(site))
    app.register_blueprint(operation_routes(site))
    app.register_blueprint(questionnaire_operation_routes(site))
    app.register_blueprint(cds_routes(site))
    app.register_blueprint(monitoring_routes(app, site))
    app.register_blueprint(start_routes(site))
    app.register_blueprint(form_routes(site))
    app.register_blueprint(result_routes(site))
    app.register_blueprint(summary_routes(site))
    app.register_blueprint(smart_routes(site))
    app.jinja_env.globals.update(
        anyone_may_begin=site.is_open,
        dialled=dialled,
        helplines=site.helplines,
        reason_words=reason_words,
        told_on=told_on,
        right_to_left=RIGHT_TO_LEFT,
        version=site.version,
    )
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    path = urlsplit(site.public_url or "").path
    if path:
        app.wsgi_app = mounted(app.wsgi_app, path)  # type: ignore[assignment,method-assign]
    return app
