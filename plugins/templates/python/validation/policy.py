"""What cannot be taken back needs a reason, and a restore in place another person.

The settings `verbs` and `least` say which requests need a reason, and how long it must be.
"""

from componentize_py_types import Err
from wit_world.exports import ValidationRules as World
from wit_world.exports.validation_rules import Finding, Outcome, Question
from wit_world.imports import log
from wit_world.imports.types import Field, Value_Texts, Value_Truth, Value_Whole


class ValidationRules(World):
    def check(self, question: Question) -> list[Finding]:
        """What is to be said about a request; nothing accepts it. A raised `Err` refuses it."""
        verbs, least = read_settings(question.settings)
        request = question.request
        findings = []
        if request.scheduled:
            return findings
        if request.verb in verbs and len(request.reason) < least:
            message = f"`{request.verb}` wants a reason of at least {least} characters: say why with `--reason`"
            findings.append(Finding(Outcome.DENY, message, "reason"))
        if request.verb == "restore" and Field("in-place", Value_Truth(True)) in request.fields:
            message = "a restore in place replaces what stands there: another person must approve"
            findings.append(Finding(Outcome.ASK_APPROVAL, message, "in-place"))
        log.write(log.Severity.DEBUG, f"{len(findings)} findings about {request.verb}")
        return findings


def read_settings(settings: list[Field]) -> tuple[list[str], int]:
    """A slip of the pen must not turn a rule off: what is not understood is an error."""
    verbs, least = ["delete", "disable"], 10
    for setting in settings:
        if setting.key == "verbs":
            if not isinstance(setting.value, Value_Texts):
                raise Err("setting `verbs` wants a list of texts")
            verbs = setting.value.value
        elif setting.key == "least":
            if not isinstance(setting.value, Value_Whole) or not 0 <= setting.value.value <= 200:
                raise Err("setting `least` wants a whole number from 0 to 200")
            least = setting.value.value
        else:
            raise Err(f"setting `{setting.key}` is not known: there are verbs, least")
    return verbs, least
