"""Personal data in a text: by pattern, and by checksum where there is one."""

import re
from collections.abc import Callable, Iterator
from datetime import date

Spans = Iterator[tuple[int, int]]

EMAIL = re.compile(
    r"(?<![\w.+-])[A-Za-z0-9](?:[\w.+'-]{0,62}[\w])?@(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,6}"
    r"[A-Za-z]{2,24}(?![\w-])"
)
SPELLED_EMAIL = re.compile(
    r"(?<!\w)[A-Za-z0-9][\w.+-]{0,62}\s?(?:\(at\)|\[at\]| at )\s?"
    r"[A-Za-z0-9-]{1,63}(?:\s?(?:\(dot\)|\[dot\]| dot )\s?[A-Za-z0-9-]{2,63}){1,4}(?!\w)",
    re.IGNORECASE,
)
CARD = re.compile(r"(?<![\d.,-])(?:\d[ -]?){12,18}\d(?![\d-]|[.,]\d)")
CARD_FORMS = re.compile(
    r"(?:4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"
    r"|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|6(?:011|5\d\d|4[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}"
    r"|(?:50|5[6-9]|6\d)\d{10,17})"
)
"""Numbers that issuers of payment cards give (ISO/IEC 7812): their first digits and lengths."""
IBAN = re.compile(r"(?<![A-Z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}(?![A-Za-z0-9])")
IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22,
    "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28,
    "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23,
    "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26,
    "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20,
    "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30,
    "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22,
    "SA": 24, "SC": 31, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23,
    "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
"""Characters of an account number by country (ISO 13616)."""
SSN = re.compile(r"(?<![\w-])(?!000|666|9\d\d)\d{3}([- ])(?!00)\d{2}\1(?!0000)\d{4}(?![\w-])")
PHONE = re.compile(
    r"(?<![\w.+-])(?<!\d )(?:\+|00)[1-9]\d{0,2}(?:[ .\-/]?\(?\d{1,4}\)?){2,6}(?!\w)"
    r"|(?<![\w.+-])(?:1[ .-]?)?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[.-])[2-9]\d{2}[ .-]\d{4}(?![\w-])"
)
BIRTH = re.compile(
    r"\b(?:born(?: on)?|date of birth|d\.?o\.?b\.?)\W{0,3}"
    r"(?:(?P<iso>\d{4}-\d{2}-\d{2})|\d{1,2}[./-]\d{1,2}[./-]\d{4})\b",
    re.IGNORECASE,
)


def find_emails(text: str) -> Spans:
    """Yield addresses of e-mail, also those spelled with `at` and `dot`."""
    yield from (match.span() for match in EMAIL.finditer(text))
    yield from (match.span() for match in SPELLED_EMAIL.finditer(text))


def find_cards(text: str) -> Spans:
    """Yield numbers of payment cards: an issuer's form, and the checksum of Luhn."""
    for match in CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if CARD_FORMS.fullmatch(digits) and has_luhn(digits) and len(set(digits)) > 1:
            yield match.span()


def find_ibans(text: str) -> Spans:
    """Yield numbers of bank accounts: the country's length, and the checksum modulo 97."""
    for match in IBAN.finditer(text):
        length = IBAN_LENGTHS.get(match[0][:2], 0)
        places = [place for place, sign in enumerate(match[0]) if sign != " "][:length]
        plain = "".join(match[0][place] for place in places)
        if len(plain) == length > 0 and has_iban_checksum(plain):
            yield match.start(), match.start() + places[-1] + 1


def find_ssns(text: str) -> Spans:
    """Yield social security numbers of the United States, as they are written."""
    yield from (match.span() for match in SSN.finditer(text))


def find_phones(text: str) -> Spans:
    """Yield telephone numbers: international ones of 8 to 15 digits, and North American ones."""
    for match in PHONE.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if 8 <= len(digits) <= 15:  # E.164
            yield match.span()


def find_births(text: str) -> Spans:
    """Yield dates of birth, where the words before them say so."""
    for match in BIRTH.finditer(text):
        if not match["iso"] or _is_date(match["iso"]):
            yield match.span()


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def has_luhn(digits: str) -> bool:
    """Return whether digits end with the check digit of Luhn (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def has_iban_checksum(account: str) -> bool:
    """Return whether an account number without blanks has its checksum (ISO 7064, modulo 97)."""
    turned = account[4:] + account[:4]
    return int("".join(str(int(sign, 36)) for sign in turned)) % 97 == 1


PII: dict[str, Callable[[str], Spans]] = {
    "email": find_emails,
    "payment_card": find_cards,
    "iban": find_ibans,
    "us_ssn": find_ssns,
    "phone": find_phones,
    "birth_date": find_births,
}
"""Rule to function: from a text to the first character of each hit and the one behind its last."""
