"""Pages as data: a folder of FHIR artifacts becomes a compiled, checked pack."""

from service.packs.loader import load_pack, load_packs, shipped_pages
from service.packs.pack import Pack, PackInvalid, assemble_pack

__all__ = ["Pack", "PackInvalid", "assemble_pack", "load_pack", "load_packs", "shipped_pages"]
