"""Five fields of crontab as a trigger of APScheduler, with the meaning that crontab(5) gives them.

APScheduler's own reading differs twice: its week begins with Monday as 0, where crontab has Sunday as 0 and as 7; and
where both the day of the month and the day of the week are given, it wants both, where crontab takes either.
"""

import re

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NUMBERS = re.compile(r"(\*|[0-7])(?:-([0-7]))?(?:/([1-9]\d*))?")


def trigger(expression: str) -> BaseTrigger:
    """The trigger for an expression of five fields, in local time.

    Raises:
        ValueError: the expression is not valid according to crontab(5).
    """
    fields = expression.split()
    if len(fields) != 5:
        raise ValueError(f"expected five fields, found {len(fields)}")
    minute, hour, day, month, weekday = fields
    weekday = ",".join(map(_by_name, weekday.split(",")))

    def on(*, day: str = "*", weekday: str = "*") -> CronTrigger:
        return CronTrigger(minute=minute, hour=hour, day=day, month=month, day_of_week=weekday)

    if day.startswith("*") or fields[4].startswith("*"):
        return on(day=day, weekday=weekday)
    return OrTrigger([on(day=day), on(weekday=weekday)])


def _by_name(days: str) -> str:
    """One item of the last field with names in place of numbers."""
    found = _NUMBERS.fullmatch(days)
    if found is None or days == "*":
        return days
    first, last, step = found.groups()
    begin = 0 if first == "*" else int(first)
    end = int(last) if last else 6 if first == "*" or step else begin
    names = _DAYS[begin : end + 1 : int(step or 1)]
    if not names:
        raise ValueError(f"the days {days} end before they begin")
    return ",".join(names)
