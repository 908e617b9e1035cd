//! How a policy fares over many questions: whether it keeps failing, and whether it has stepped back because of that.

use serde::{Deserialize, Serialize};

use super::decision::Fault;
use crate::name::PolicyName;
use crate::time::Timestamp;

/// A policy that went back to being shadow by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SteppedBack {
    /// Since when.
    pub since: Timestamp,
    /// Why, in one line.
    pub why: String,
}

/// What is remembered about one policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStanding {
    /// The policy.
    pub policy: PolicyName,
    /// SHA-256 of the component that the rest is about; empty while none could be read.
    pub component: String,
    /// Faults in a row, up to now.
    pub faults: u32,
    /// The newest fault, with its instant.
    pub last_fault: Option<(Timestamp, Fault)>,
    /// Whether it has stepped back.
    pub stepped_back: Option<SteppedBack>,
}

impl PolicyStanding {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(policy: PolicyName) -> Self {
        Self { policy, component: String::new(), faults: 0, last_fault: None, stepped_back: None }
    }

    /// Notes one more answer, or fault. Another component begins anew: what its predecessor did says nothing about it.
    pub fn note(&mut self, component: &str, fault: Option<&Fault>, at: Timestamp) {
        if self.component != component {
            *self = Self { component: component.to_owned(), ..Self::new(self.policy.clone()) };
        }
        match fault {
            None => self.faults = 0,
            Some(fault) => {
                self.faults = self.faults.saturating_add(1);
                self.last_fault = Some((at, fault.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::FaultKind;

    #[test]
    fn an_answer_ends_the_row_of_faults_and_another_component_begins_anew() {
        let fault = Fault { kind: FaultKind::Trapped, message: "unreachable".into(), backtrace: Vec::new() };
        let now = Timestamp::UNIX_EPOCH;
        let mut standing = PolicyStanding::new("legal-hold".parse().expect("valid"));
        standing.note("a", Some(&fault), now);
        standing.note("a", Some(&fault), now);
        assert_eq!(standing.faults, 2);
        standing.note("a", None, now);
        assert_eq!((standing.faults, standing.last_fault.is_some()), (0, true));
        standing.note("a", Some(&fault), now);
        standing.stepped_back = Some(SteppedBack { since: now, why: "3 faults in a row".into() });
        standing.note("b", Some(&fault), now);
        assert_eq!((standing.faults, standing.stepped_back), (1, None));
    }
}
