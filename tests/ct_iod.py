"""Checks a DICOM object against the standard's own tables, on any machine and without a network.

Which modules an information object has, which attributes these hold and of which type (PS3.3, 7.4: 1 must have a value,
2 must be there, 3 may be) comes from the tables of the standard that highdicom carries; VR and multiplicity from
pydicom's copy of PS3.6. What the tables cannot say, conditions and permitted values of a CT image, is written out here
from PS3.3, C.8.2.1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

import numpy as np
import pydicom.config
from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import validate_value

Attributes = list[dict]


@cache
def _table(name: str) -> dict:
    return json.loads((files("highdicom") / "_standard" / f"{name}.json").read_text(encoding="utf-8"))


def faults(dataset: Dataset) -> list[str]:
    """What the standard forbids in an object, in words; empty if nothing."""
    iod = _table("sop_class_iod_map")[dataset.SOPClassUID]
    found, known = [], set()
    for module in _table("iod_module_map")[iod]:
        attributes = _table("module_attribute_map")[module["key"]]
        top = {one["keyword"] for one in attributes if not one["path"]}
        known |= top
        # What only this module has shows that an optional one is there.
        if module["usage"] == "M" or _is_used(module["key"], dataset):
            found += [f"{module['key']}: {one}" for one in _missing(dataset, attributes, [])]
    found += [f"{one.keyword or one.tag}: not in this object" for one in dataset if one.keyword not in known]
    found += [fault for one in dataset.iterall() for fault in _value_faults(one)]
    return found + list(_ct_faults(dataset)) + list(_meta_faults(dataset))


_SHOWN_BY = {
    "device": "DeviceSequence", "specimen": "ContainerIdentifier", "clinical-trial-subject": "ClinicalTrialSponsorName",
    "multi-energy-ct-image": "MultienergyCTAcquisitionSequence", "synchronization": "SynchronizationTrigger",
}  # fmt: skip
"""Optional modules with attributes that they must have, and the attribute by which such a module is known."""


def _is_used(module: str, dataset: Dataset) -> bool:
    if module == "contrast-bolus":
        return any(one.keyword.startswith("ContrastBolus") for one in dataset)
    return module in _SHOWN_BY and _SHOWN_BY[module] in dataset


def _missing(dataset: Dataset, attributes: Attributes, path: list[str]) -> Iterator[str]:
    for one in attributes:
        if one["path"] != path:
            continue
        keyword = one["keyword"]
        where = "/".join([*path, keyword])
        if keyword not in dataset:
            if one["type"] in ("1", "2"):
                yield f"{where} (type {one['type']}) is missing"
            continue
        empty = dataset[keyword].is_empty
        if empty and one["type"] in ("1", "1C"):
            yield f"{where} (type {one['type']}) is empty"
        if dataset[keyword].VR == "SQ":
            for item in dataset[keyword].value:
                yield from _missing(item, attributes, [*path, keyword])


def _value_faults(element) -> Iterator[str]:
    tag = tag_for_keyword(element.keyword)
    if tag is None:
        return
    allowed = dictionary_VR(tag).split(" or ")
    if element.VR not in allowed:
        yield f"{element.keyword}: VR {element.VR}, not {' or '.join(allowed)}"
    if element.VR in ("SQ", "OW", "OB") or element.is_empty:
        return
    values = list(element.value) if isinstance(element.value, MultiValue) else [element.value]
    if not _fits(len(values), dictionary_VM(tag)):
        yield f"{element.keyword}: {len(values)} values, not {dictionary_VM(tag)}"
    for value in values:
        try:
            # What will be in the file is text, even where pydicom hands out a number.
            text = getattr(value, "original_string", None) or value
            written = str(text) if element.VR in ("DS", "IS") else text
            validate_value(element.VR, written, pydicom.config.RAISE)
        except ValueError as error:
            yield f"{element.keyword}: {error}"


def _fits(count: int, multiplicity: str) -> bool:
    """Whether a number of values fits "1", "2-3", "1-n" or "2-2n"."""
    low, _, high = multiplicity.partition("-")
    if not high:
        return count == int(low)
    if high.endswith("n"):
        return count >= int(low) and count % int(high[:-1] or 1) == 0
    return int(low) <= count <= int(high)


_GREY = ("MONOCHROME1", "MONOCHROME2")


def _ct_faults(ct: Dataset) -> Iterator[str]:
    """Permitted values and conditions of the CT Image module and those it specialises."""
    rules = {
        "ImageType value 1 is ORIGINAL or DERIVED": ct.ImageType[0] in ("ORIGINAL", "DERIVED"),
        "ImageType value 2 is PRIMARY or SECONDARY": ct.ImageType[1] in ("PRIMARY", "SECONDARY"),
        "ImageType value 3 is AXIAL or LOCALIZER": ct.ImageType[2] in ("AXIAL", "LOCALIZER"),
        "Modality is CT": ct.get("Modality") == "CT",
        "SamplesPerPixel is 1": ct.get("SamplesPerPixel") == 1,
        "PhotometricInterpretation is MONOCHROME1 or 2": ct.get("PhotometricInterpretation") in _GREY,
        "BitsAllocated is 16": ct.get("BitsAllocated") == 16,
        "BitsStored is 12 to 16": 12 <= (ct.get("BitsStored") or 0) <= 16,
        "HighBit is BitsStored - 1": ct.get("HighBit") == (ct.get("BitsStored") or 0) - 1,
        "PixelRepresentation is 0 or 1": ct.get("PixelRepresentation") in (0, 1),
        "PixelData holds every pixel": len(ct.get("PixelData") or b"") == 2 * ct.get("Rows", 0) * ct.get("Columns", 0),
        "PatientPosition is there, or its codes": "PatientPosition" in ct or "PatientOrientationCodeSequence" in ct,
        "PatientPosition is a defined term": ct.get("PatientPosition") in ("HFS", "HFP", "HFDR", "HFDL", "FFS", "FFP"),
        "PatientSex is M, F, O or empty": ct.get("PatientSex") in ("M", "F", "O", "", None),
        "RescaleType is HU": ct.get("RescaleType", "HU") == "HU",
        "WindowCenter and WindowWidth come together": ("WindowCenter" in ct) == ("WindowWidth" in ct),
        "directions are orthonormal": _orthonormal(ct.get("ImageOrientationPatient")),
        "SliceThickness is not negative": float(ct.get("SliceThickness") or 0) >= 0,
    }  # fmt: skip
    yield from (f"ct-image: it must be that {rule}" for rule, holds in rules.items() if not holds)


def _orthonormal(cosines) -> bool:
    if not cosines or len(cosines) != 6:
        return False
    pair = np.array(cosines, float).reshape(2, 3)
    return bool(np.allclose(pair @ pair.T, np.eye(2), atol=1e-4))


def _meta_faults(dataset: Dataset) -> Iterator[str]:
    """File meta information (PS3.10, 7.1)."""
    meta = dataset.file_meta
    for keyword in (
        "FileMetaInformationGroupLength", "FileMetaInformationVersion", "MediaStorageSOPClassUID",
        "MediaStorageSOPInstanceUID", "TransferSyntaxUID", "ImplementationClassUID",
    ):  # fmt: skip
        if keyword not in meta or meta[keyword].is_empty:
            yield f"file meta: {keyword} is missing"
    for here, there in (("MediaStorageSOPClassUID", "SOPClassUID"), ("MediaStorageSOPInstanceUID", "SOPInstanceUID")):
        if meta.get(here) != dataset.get(there):
            yield f"file meta: {here} is not {there}"
