"""A restored tree is healthy when the files named in the setting `files` are there and not empty."""

from componentize_py_types import Err
from wit_world.exports import HealthRules as World
from wit_world.exports.health_rules import Answer, Finding, Question, State
from wit_world.imports import probes
from wit_world.imports.probes import FailureKind
from wit_world.imports.types import Field, Value_Texts


class HealthRules(World):
    def check(self, question: Question) -> Answer:
        """A raised `Err` means that it could not be told: unknown, which is not a pass."""
        findings, unclear = [], False
        for path in read_settings(question.settings):
            try:
                facts = probes.stat(path)
                if facts is None:
                    findings.append(Finding(path, False, "nothing stands there"))
                else:
                    findings.append(Finding(path, facts.size > 0, f"{facts.size} bytes"))
            except Err as error:
                # What does not answer has failed; what may not be asked, or cannot be, is not known.
                unclear |= error.value.kind not in (FailureKind.UNREACHABLE, FailureKind.TIMED_OUT)
                findings.append(Finding(path, False, error.value.message))
        if unclear:
            return Answer(State.UNKNOWN, findings)
        return Answer(State.HEALTHY if all(finding.passed for finding in findings) else State.UNHEALTHY, findings)


def read_settings(settings: list[Field]) -> list[str]:
    """A slip of the pen must not turn a check off: what is not understood is an error."""
    for setting in settings:
        if setting.key != "files":
            raise Err(f"setting `{setting.key}` is not known: there is files")
    if not settings or not settings[0].value.value:
        raise Err('setting `files` is missing: write `files = ["/srv/docs/index.html"]`')
    if not isinstance(settings[0].value, Value_Texts):
        raise Err("setting `files` wants a list of texts")
    return settings[0].value.value
