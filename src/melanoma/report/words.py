"""Numbers as the report writes them."""


def percent(share: float | None, digits: int = 1) -> str:
    """A share in percent.

    >>> percent(0.1234), percent(None)
    ('12.3 %', '-')
    """
    return "-" if share is None else f"{100 * share:.{digits}f} %"


def interval(low: float, high: float) -> str:
    """The ends of an interval of a score.

    >>> interval(0.91234, 0.95)
    '0.9123 to 0.9500'
    """
    return f"{low:.4f} to {high:.4f}"


def p_cell(p_value: float | None) -> str:
    """A p-value in a table.

    >>> p_cell(0.0123), p_cell(0.0001), p_cell(None)
    ('0.012', '< 0.001', '-')
    """
    if p_value is None:
        return "-"
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def duration(seconds: float | None) -> str:
    """Seconds as one reads them.

    >>> duration(42.2), duration(150), duration(3 * 3600 + 300), duration(None)
    ('42 s', '2 min 30 s', '3 h 05 min', '-')
    """
    if seconds is None:
        return "-"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def count(number: int, noun: str, plural: str = "") -> str:
    """A number of things.

    >>> count(1, "fold"), count(33126, "photograph")
    ('1 fold', '33,126 photographs')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
