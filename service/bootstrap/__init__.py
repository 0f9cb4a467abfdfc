"""Where the parts are wired together; nowhere else."""

from service.bootstrap.pages import evaluation, page_evaluation, page_folders, population, published_packs
from service.bootstrap.servers import fhir_server
from service.bootstrap.services import DISTRIBUTION, Services, any_fhir_server, start
from service.bootstrap.storage import new_secret_key, upgrade_database
from service.bootstrap.world import random_id, utc_now

__all__ = [
    "DISTRIBUTION",
    "Services",
    "any_fhir_server",
    "evaluation",
    "fhir_server",
    "new_secret_key",
    "page_evaluation",
    "page_folders",
    "population",
    "published_packs",
    "random_id",
    "start",
    "upgrade_database",
    "utc_now",
]
