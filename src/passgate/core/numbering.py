"""Which numbers are valid, by python-stdnum; loaded when somebody asks, since few gates ever do.

It takes 3 MB, and its table of countries is read from a file of its package.
"""


def is_ssn(text: str) -> bool:
    """Whether this is a social security number of the United States, such as 536-90-4399."""
    from stdnum.us import ssn

    return bool(ssn.is_valid(text))


def is_luhn(number: str) -> bool:
    """Whether the last digit is the others' check digit (ISO/IEC 7812-1)."""
    from stdnum import luhn

    return bool(luhn.is_valid(number))


def is_iban(number: str) -> bool:
    """Whether country, length and check digits are those of an IBAN (ISO 13616)."""
    from stdnum import iban

    return bool(iban.is_valid(number, check_country=False))


def iban_structure(country: str) -> str:
    """How a country's account numbers are built, such as `8!n10!n`; "" where it has none."""
    from stdnum import numdb

    return str(numdb.get("iban").info(country)[0][1].get("bban", ""))
