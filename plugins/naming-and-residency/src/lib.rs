//! What every workload must have before its configuration is accepted: a name of the right form, places where its data
//! may stand, enough backups, enough copies elsewhere.
//!
//! It looks at `configure` and `reload`, and at where `replicate` copies to. Other requests pass. A rule that is not
//! written is not asked for; an empty list of rules is a mistake, since it would accept everything.

use backstop_policy_sdk::validation::{Finding, Outcome, Question, Request, Validation};
use backstop_policy_sdk::{Field, Settings, glob};

struct NamingAndResidency;

struct Rules<'a> {
    outcome: Outcome,
    names: Vec<&'a str>,
    places: Vec<&'a str>,
    regions: Vec<&'a str>,
    keep: [(&'static str, i64); 3],
    copies: i64,
}

const KEEPS: [(&str, &str); 3] = [
    ("keep_daily", "schedule.daily.keep"),
    ("keep_weekly", "schedule.weekly.keep"),
    ("keep_monthly", "schedule.monthly.keep"),
];

impl<'a> Rules<'a> {
    fn read(settings: &'a [Field]) -> Result<Self, String> {
        settings.only(&[
            "names",
            "places",
            "regions",
            "keep_daily",
            "keep_weekly",
            "keep_monthly",
            "copies",
            "outcome",
        ])?;
        let outcome = settings.text_or("outcome", "deny")?;
        let rules = Self {
            outcome: Outcome::parse(outcome)
                .ok_or_else(|| format!("setting `outcome` is `{outcome}`; write deny, ask-approval or warn"))?,
            names: settings.texts("names")?,
            places: settings.texts("places")?,
            regions: settings.texts("regions")?,
            keep: [
                (KEEPS[0].1, settings.whole_or(KEEPS[0].0, 0)?),
                (KEEPS[1].1, settings.whole_or(KEEPS[1].0, 0)?),
                (KEEPS[2].1, settings.whole_or(KEEPS[2].0, 0)?),
            ],
            copies: settings.whole_or("copies", 0)?,
        };
        let lists = [&rules.names, &rules.places, &rules.regions];
        let asks_nothing = lists.iter().all(|list| list.is_empty())
            && rules.keep.iter().all(|(_, least)| *least <= 0)
            && rules.copies <= 0;
        if asks_nothing {
            return Err("no rule is written: set at least one of names, places, regions, keep_daily, keep_weekly, \
                        keep_monthly, copies"
                .into());
        }
        Ok(rules)
    }

    fn say(&self, field: &str, message: String) -> Finding {
        self.outcome.finding(message).about(field)
    }

    fn place(&self, field: &str, place: &str) -> Option<Finding> {
        let allowed = self.places.is_empty() || glob::fits_any(&self.places, place);
        (!allowed).then(|| {
            self.say(
                field,
                format!("`{place}` is no place where data may stand: choose among {}", self.places.join(", ")),
            )
        })
    }

    fn workload(&self, request: &Request, workload: &str) -> Result<Vec<Finding>, String> {
        let mut found = Vec::new();
        if !self.names.is_empty() && !glob::fits_any(&self.names, workload) {
            let message = format!("`{workload}` is no name for a workload: the form is {}", self.names.join(" or "));
            found.push(self.say("workload", message));
        }
        let fields = &request.fields;
        found.extend(fields.find_text("schedule.home")?.and_then(|home| self.place("schedule.home", home)));
        let copies = fields.texts("schedule.copies")?;
        found.extend(copies.iter().filter_map(|place| self.place("schedule.copies", place)));
        if (copies.len() as i64) < self.copies {
            let message = format!(
                "copies at {} places beside home, at least {} are wanted: add places to `copies`",
                copies.len(),
                self.copies
            );
            found.push(self.say("schedule.copies", message));
        }
        for (field, least) in self.keep {
            // A schedule without the tier keeps none of it.
            let keeps = fields.whole_or(field, 0)?;
            if keeps < least {
                found.push(self.say(field, format!("keeps {keeps}, at least {least} are wanted: raise `keep`")));
            }
        }
        Ok(found)
    }

    fn replicate(&self, request: &Request) -> Result<Vec<Finding>, String> {
        let place = request.fields.find_text("to")?.and_then(|place| self.place("to", place));
        let region = request.fields.find_text("region")?;
        let region =
            region.filter(|region| !self.regions.is_empty() && !glob::fits_any(&self.regions, region)).map(|region| {
                let message =
                    format!("`{region}` is no region where data may stand: choose among {}", self.regions.join(", "));
                self.say("region", message)
            });
        Ok(place.into_iter().chain(region).collect())
    }
}

impl Validation for NamingAndResidency {
    fn check(question: &Question) -> Result<Vec<Finding>, String> {
        let rules = Rules::read(&question.settings)?;
        let request = &question.request;
        match (request.verb.as_str(), &request.workload) {
            ("configure" | "reload", Some(workload)) => rules.workload(request, workload),
            ("replicate", _) => rules.replicate(request),
            _ => Ok(Vec::new()),
        }
    }
}

backstop_policy_sdk::validation!(NamingAndResidency);
