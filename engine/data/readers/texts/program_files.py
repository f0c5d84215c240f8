"""Files that are written for programs: how software is built and installed, what machines are called, what was paid."""

import re

from engine.data.readers.head import Head, share

_DOCKERFILE = re.compile(
    r"(?:#[^\n]*\n|ARG [^\n]*\n|\s)*FROM \S+[^\n]*\n(?:.*\n)?\s*(?:RUN|COPY|ADD|ENV|CMD|WORKDIR|USER|ENTRYPOINT)\b"
)
_PINNED = re.compile(r"[A-Za-z][\w.\[\],-]*\s*(?:[=~!<>]=|[<>])\s*\d")
_SCHEDULE = re.compile(r"(?:[\d*][\d*/,-]*\s+){5}\S|@(?:reboot|daily|hourly|weekly|monthly)\s+\S")
_PHONY = re.compile(r"(?m)^\.PHONY:")
_RULE_OF_MAKE = re.compile(r"(?m)^[\w./%$()-]+:(?!=)[^\n]*\n\t\S")
_HOST = re.compile(
    r"(?:\d{1,3}(?:\.\d{1,3}){3}|(?=\S*:\S*:)(?!\d\d?:\d\d(?::\d\d)?\s)[\da-fA-F:]+)"
    r"[ \t]+[a-zA-Z][\w.-]*(?:[ \t]+[\w.-]+)*\s*$"
)
_BOOKED = re.compile(r"(?m)^\d{4}[-/]\d\d[-/]\d\d[^\n]*\n[ \t]+[A-Z][\w-]*(?::\w[\w -]*)+")
_RECORDED = re.compile(r"[^,\n]+,(?:sha256=[\w-]+)?,\d*\s*$")


def is_installation(head: Head) -> bool:
    """Whether a file is a Dockerfile, a list of packages, or when programs are to run."""
    lines = [line for line in head.lines_as_text if not line.startswith("#")]
    is_list = share(lines, _PINNED.match) >= 0.5 or share(lines, _SCHEDULE.match) >= 0.5
    return is_list or _DOCKERFILE.match(head.text[:8192]) is not None


def is_makefile(head: Head) -> bool:
    """Whether it begins with a rule of make, or has one and says so, or two."""
    text = head.text[:8192]
    rules = len(_RULE_OF_MAKE.findall(text))
    return rules >= 2 or (rules == 1 and (_PHONY.search(text) or _RULE_OF_MAKE.match(text)) is not None)


def is_list_of_hosts(head: Head) -> bool:
    """Whether most lines are an address and names for it."""
    return share([line for line in head.lines_as_text if not line.startswith("#")], _HOST.match) >= 0.6


def is_journal_of_accounts(head: Head) -> bool:
    """Whether it books sums on accounts, as ledger, hledger and beancount read it."""
    return _BOOKED.search(head.text[:8192]) is not None


def is_list_of_sums(head: Head) -> bool:
    """Whether it is the ``RECORD`` of a Python package: files, their sums and their sizes."""
    return "sha256=" in head.text[:8192] and share(head.lines_as_text, _RECORDED.match) >= 0.8
