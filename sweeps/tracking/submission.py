"""Who submitted a sweep, and from which commit: tags of its runs, sent along with a sweep that a cluster runs."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from sweeps.tracking.mlflow.run_metadata import PACKAGE, code_tags, git_state, package_version
from sweeps.tracking.person import Person, Source, claimed_person, cleaned, person_if_reachable
from sweeps.tracking.plugin_tags import PREFIX as PLUGIN_PREFIX
from sweeps.tracking.plugin_tags import recorded_plugins

# Set in the job of a submitted sweep: the submission as JSON, as the submitter's machine determined it.
SUBMISSION_VARIABLE = "SWEEPS_SUBMISSION"
PREFIX = "sweeps.submitted_"
COMMIT_TAG = f"{PREFIX}commit"
# The last person who resumed or extended a sweep.
RESUMED_BY, RESUMED_BY_SOURCE = "sweeps.resumed_by", "sweeps.resumed_by_source"
_MAX_JSON_CHARACTERS = 10_000
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_MAX_CODE_CHARACTERS = 200
_PLUGIN_TAG = re.compile(r"sweeps\.plugin\.(data|model(_\d{1,3})?)(\.(path|version|sha256|commit|dirty))?")
_CODE_TAGS = ("mlflow.source.git.commit", "sweeps.git.dirty")


@dataclass(frozen=True)
class Submission:
    """Who submitted a sweep, how that is known, and from where.

    `commit` is the git commit of the folder where the command was typed, None if it is in no repository; `dirty` if
    files that git tracks there had changed. `version` is that of this package. `code` are the tags of the package's own
    commit, if it was used from its repository, and those of the sweep's plug-ins.
    """

    by: str
    source: Source
    commit: str | None = None
    dirty: bool | None = None
    version: str | None = None
    code: Mapping[str, str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the submission as plain values, for JSON output."""
        return {key: value for key, value in asdict(self).items() if key != "code"} | {"source": str(self.source)}

    def to_json(self) -> str:
        """Return the submission as the job of a submitted sweep gets it."""
        return json.dumps(self.to_dict() | {"code": dict(self.code or {})})

    def to_tags(self) -> dict[str, str]:
        """Return the tags of the sweep's runs."""
        tags = {"by": self.by, "source": str(self.source), "commit": self.commit, "version": self.version}
        tags["dirty"] = None if self.dirty is None else str(self.dirty).lower()
        # As the names of the tags: sweeps.submitted_by, sweeps.submitted_by_source, sweeps.submitted_commit, ...
        names = {"source": "by_source"}
        found = {f"{PREFIX}{names.get(key, key)}": value for key, value in tags.items() if value is not None}
        return found | dict(self.code or {})

    @property
    def person(self) -> Person:
        """Return the submitter."""
        return Person(self.by, self.source)

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> Self | None:
        """Return the submission that a run's tags record; None if an earlier version recorded none."""
        if not tags.get(f"{PREFIX}by"):
            return None
        plain = {key: tags.get(f"{PREFIX}{key}") for key in ("by", "commit", "version")}
        plain["source"] = tags.get(f"{PREFIX}by_source")
        return cls._read(plain | {"dirty": {"true": True, "false": False}.get(tags.get(f"{PREFIX}dirty", ""))})

    @classmethod
    def from_json(cls, text: str) -> Self | None:
        """Return the submission that a machine sent, always as a claim: whoever can start jobs can write any name."""
        try:
            plain = json.loads(text[:_MAX_JSON_CHARACTERS])
        except (ValueError, RecursionError):
            return None
        if not isinstance(plain, dict) or not isinstance(plain.get("by"), str):
            return None
        return cls._read(plain | {"source": Source.CLAIMED})

    @classmethod
    def _read(cls, plain: Mapping[str, Any]) -> Self:
        """Return a submission from values that anyone may have written."""
        commit, dirty, version, code = (plain.get(key) for key in ("commit", "dirty", "version", "code"))
        is_commit = isinstance(commit, str) and _COMMIT.fullmatch(commit)
        given = code if isinstance(code, dict) else {}
        return cls(
            by=cleaned(plain["by"]) or "unknown",
            source=Source.ACCOUNT if plain.get("source") == Source.ACCOUNT else Source.CLAIMED,
            commit=commit if is_commit else None,
            dirty=dirty if is_commit and isinstance(dirty, bool) else None,
            version=cleaned(version, 50) if isinstance(version, str) else None,
            code={
                name: cleaned(value, _MAX_CODE_CHARACTERS)
                for name, value in given.items()
                if (name in _CODE_TAGS or _PLUGIN_TAG.fullmatch(name)) and isinstance(value, str)
            },
        )


def current_submission(uri: str | None, plugins: Mapping[str, str] | None = None) -> Submission:
    """Return the submission of a sweep that starts now: the one that came with its job, else that of this process.

    `uri` is the tracking server to ask for the account; with None, the user is a claim. `plugins` are the tags of the
    sweep's plug-ins.
    """
    if (sent := _sent()) is not None:
        return sent
    person = claimed_person() if uri is None else person_if_reachable(uri)
    commit, dirty = git_state(Path.cwd())
    code = code_tags() | dict(plugins or {})
    return Submission(person.name, person.source, commit, dirty, package_version(PACKAGE), code)


def trial_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a trial by those of its sweep: submission, plug-ins, and the commit of code from a job."""
    sent = _sent()
    code = {} if sent is None else dict(sent.code or {})
    return {name: value for name, value in tags.items() if name.startswith((PREFIX, PLUGIN_PREFIX))} | code


def described(tags: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the submission that a run's tags record, for JSON output; None if an earlier version recorded none."""
    submission = Submission.from_tags(tags)
    return None if submission is None else submission.to_dict()


def provenance(tags: Mapping[str, str]) -> dict[str, Any]:
    """Return where a sweep comes from by its run's tags, for JSON output: its submission, and its plug-ins by role."""
    return {"submitted": described(tags), "plugins": recorded_plugins(tags)}


def resume_tags(tags: Mapping[str, str], uri: str | None) -> dict[str, str]:
    """Return the tags of a sweep that someone resumes now: who it is, unless the last person to start it."""
    submission = current_submission(uri)
    before = tags.get(RESUMED_BY) or tags.get(f"{PREFIX}by")
    return {} if submission.by == before else {RESUMED_BY: submission.by, RESUMED_BY_SOURCE: str(submission.source)}


def _sent() -> Submission | None:
    text = os.environ.get(SUBMISSION_VARIABLE)
    return Submission.from_json(text) if text else None
