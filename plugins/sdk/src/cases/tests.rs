//! What a case says is what is asked, and a wrong answer is seen.

use super::*;
use serde_json::json;

fn one(text: &str) -> Case {
    let mut cases = parse(text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(cases.len(), 1);
    cases.remove(0)
}

fn error(text: &str) -> String {
    parse(text).map(|_| ()).expect_err("not a file of cases").to_string()
}

fn release(body: &str) -> Case {
    one(&format!("function = 'release'\n[[case]]\nname = 'x'\n{body}"))
}

#[test]
fn a_history_has_a_backup_a_day_with_the_tiers_of_the_calendar() {
    let case = release("history = { from = 2026-01-30, days = 4 }\nexpect = { kept = 4 }");
    assert_eq!(case.backup_names(), ["2026-01-30", "2026-01-31", "2026-02-01", "2026-02-02"]);
    let tiers: Vec<u64> = (0..4).map(|at| case.question["backups"][at]["tiers"].as_u64().expect("bits")).collect();
    // 30 January 2026 is a Friday and the first of everything; 1 February begins a month, Monday the 2nd a week.
    assert_eq!(tiers, [0b111, 0b001, 0b101, 0b011]);
    assert_eq!(case.question["now"], json!(1_769_997_600), "the present is that of the newest backup");
    assert_eq!(case.question["tier_names"], json!(["daily", "weekly", "monthly"]));
}

#[test]
fn a_day_keeps_its_hour_when_the_clocks_change() {
    let case = release(
        "zone = 'Europe/Berlin'\nhistory = { from = 2026-03-28, days = 3, at = '03:30' }\nexpect = { kept = 3 }",
    );
    let hours: Vec<_> = (0..3).map(|at| &case.question["backups"][at]["local"]["hour"]).collect();
    assert_eq!(hours, [3, 3, 3]);
    let created = |at: usize| case.question["backups"][at]["created"].as_i64().expect("seconds");
    assert_eq!(created(1) - created(0), 23 * 3600);
    assert_eq!(case.question["backups"][1]["local"]["offset"], 7200);
}

#[test]
fn what_was_kept_so_far_can_be_thinned() {
    let case = release(
        "history = { from = 2025-01-01, until = 2026-01-15, keep = { daily = 3, monthly = 2 } }\nexpect = { kept = 5 }",
    );
    assert_eq!(case.backup_names(), ["2025-12-01", "2026-01-01", "2026-01-13", "2026-01-14", "2026-01-15"]);
}

#[test]
fn single_backups_and_changes_say_only_what_is_special() {
    let case = release(
        "history = { from = 2026-01-01T00:00, every = '12h', count = 2 }
         backups = [{ created = 2026-02-01T10:00:00Z, name = 'b', tiers = ['yearly'], level = 'L3' }]
         change = [{ backups = ['2026-01-01T1200'], held = true, offsite = false }]
         expect = { kept = 3 }",
    );
    assert_eq!(case.backup_names(), ["2026-01-01T0000", "2026-01-01T1200", "b"]);
    let backups = &case.question["backups"];
    assert_eq!(
        (&backups[1]["held"], &backups[1]["offsite"], &backups[1]["copies"]),
        (&json!(true), &json!(false), &json!(2))
    );
    assert_eq!((&backups[2]["tiers"], &backups[2]["level"]), (&json!(0b1000), &json!("consistent")));
    assert_eq!(case.question["tier_names"][3], "yearly");
}

#[test]
fn settings_of_the_file_and_the_case_come_flat_and_in_order() {
    let case = one("settings = { keep = 7, 'a-b' = 'x', deep = { list = [1, 2] } }
                    [[case]]\nname = 'x'\nfunction = 'check'\nsettings = { keep = 8, on = 2026-01-01 }
                    request = { verb = 'backup', fields = { names = [] } }\nexpect = { accepted = true }");
    let expected = json!([
        { "key": "a-b", "value": "x" },
        { "key": "deep.list", "value": [1, 2] },
        { "key": "keep", "value": 8 },
        { "key": "on", "value": "2026-01-01" },
    ]);
    assert_eq!(case.question["settings"], expected);
    assert_eq!(case.question["request"]["fields"], json!([{ "key": "names", "value": [] }]));
    assert_eq!(case.question["request"]["workload"], json!(null));
}

#[test]
fn a_release_that_differs_is_named_backup_by_backup() {
    let case = release(
        "history = { from = 2026-01-01, days = 3 }
         expect = { kept = ['2026-01-03'], released = 2, releases = ['2026-01-01'], reasons = { 2026-01-01 = 'old' } }",
    );
    let right = json!([
        { "backup": 0, "release": true, "reason": "too old" },
        { "backup": 1, "release": true, "reason": "" },
        { "backup": 2, "release": false, "reason": "" },
    ]);
    assert_eq!(case.differences(Ok(&right), &[]), Vec::<String>::new());
    let wrong =
        json!([{ "backup": 2, "release": true, "reason": "x" }, { "backup": 9, "release": true, "reason": "" }]);
    let found = case.differences(Ok(&wrong), &[]).join("\n");
    for part in [
        "kept: lacks 2026-01-03",
        "kept: also 2026-01-01, 2026-01-02",
        "released: expected 2, got 1",
        "not in the question",
        "reason for 2026-01-01",
    ] {
        assert!(found.contains(part), "{part} in\n{found}");
    }
    assert_eq!(case.differences(Err("gave up"), &[]), ["no answer: gave up"]);
}

#[test]
fn findings_are_matched_one_to_one() {
    let case = one("[[case]]\nname = 'x'\nfunction = 'check'\nrequest = { verb = 'delete' }
                    expect = { ruling = 'deny', findings = [{ ruling = 'deny', field = 'reason' }, { message = 'late' }] }");
    let finding = |ruling: &str, field: Option<&str>, message: &str| json!({ "ruling": ruling, "field": field, "message": message });
    let right = json!([finding("warn", None, "too late"), finding("deny", Some("reason"), "say why")]);
    assert_eq!(case.differences(Ok(&right), &[]), Vec::<String>::new());
    let wrong = json!([finding("warn", None, "too late"), finding("warn", None, "later")]);
    let found = case.differences(Ok(&wrong), &[]);
    assert_eq!(found.len(), 3, "{found:?}: the ruling, one that is missing, one too many");
}

#[test]
fn a_sink_is_answered_in_order_and_its_requests_are_compared() {
    let case = one("[[case]]\nname = 'x'\nfunction = 'deliver'\nsecrets = { url = 'https://chat.example.com/x' }
                    answers = [{ status = 503, retry_after = 7 }, { fail = 'timed-out' }]
                    [case.expect]\ndelivery = 'again'\nafter = 60\nwhy = 'busy'
                    requests = [{ method = 'POST', headers = { authorization = 'Bearer secret-token' }, json = { a = [{ b = 1 }] } }]");
    assert_eq!(case.http.answer(0).map(|answer| (answer.status, answer.retry_after)), Ok((503, Some(7))));
    assert_eq!(case.http.answer(1).map_err(|failure| failure.kind), Err(HttpFailureKind::TimedOut));
    assert!(case.http.answer(2).expect_err("used up").message.contains("no answer to request 3"));
    assert_eq!(
        (case.secret("url"), case.secret("token")),
        ("https://chat.example.com/x".to_owned(), "secret-token".to_owned())
    );
    let sent = |body: &str| Sent {
        method: "POST".to_owned(),
        url: "https://chat.example.com/x".to_owned(),
        headers: vec![("Authorization".to_owned(), "Bearer secret-token".to_owned())],
        body: body.as_bytes().to_vec(),
    };
    let answer = json!({ "delivery": "again", "after": "1m", "why": "it is busy" });
    assert_eq!(case.differences(Ok(&answer), &[sent(r#"{"a":[{"b":1,"c":2}],"d":3}"#)]), Vec::<String>::new());
    assert_eq!(
        case.differences(Ok(&answer), &[sent(r#"{"a":[{"b":2}]}"#)]),
        ["request 1, body.a[0].b: expected 1, got 2"]
    );
    assert!(case.differences(Ok(&answer), &[])[0].starts_with("requests: expected 1, got 0"));
}

#[test]
fn a_url_without_a_path_is_that_of_the_root() {
    let case = one(
        "[[case]]\nname = 'x'\nfunction = 'deliver'\nexpect = { delivery = 'delivered', requests = [{ url = 'https://a.example' }] }",
    );
    let sent = |url: &str| Sent { method: "POST".to_owned(), url: url.to_owned(), headers: vec![], body: vec![] };
    let answer = json!({ "delivery": "delivered", "id": "", "note": "" });
    assert_eq!(case.differences(Ok(&answer), &[sent("https://a.example/")]), Vec::<String>::new());
    assert_eq!(case.differences(Ok(&answer), &[sent("https://a.example/x")]).len(), 1);
}

#[test]
fn a_health_check_finds_what_the_case_says_and_nothing_else() {
    let case = one("now = 2026-01-15T12:00:00Z
                    [[case]]\nname = 'x'\nfunction = 'health'
                    probes = [{ tcp = 22, answer = 'SSH-2.0' }, { run = ['is-active', 'web'], code = 3 },
                              { http = 80, fail = 'unreachable' }, { file = '/srv/a', text = 'abc' }]
                    expect = { health = 'unhealthy', findings = [{ name = 'web', passed = false }] }");
    assert_eq!(case.probes.tcp(22), Ok(b"SSH-2.0".to_vec()));
    assert_eq!(case.probes.tcp(23).expect_err("silent").kind, ProbeFailureKind::NotGranted);
    assert_eq!(case.probes.http(80, "/").expect_err("as written").kind, ProbeFailureKind::Unreachable);
    assert_eq!(case.probes.run(&["is-active".into(), "web".into()]).map(|result| result.code), Ok(3));
    assert_eq!(case.probes.stat("/srv/b"), Ok(None));
    let facts = case.probes.stat("/srv/a").expect("granted").expect("there");
    assert_eq!((facts.size, facts.modified, facts.mode), (3, 1_768_478_400, 0o644));
    assert_eq!(case.probes.read("/srv/a", 1, 10), Ok(b"bc".to_vec()));
    let answer = json!({ "health": "unhealthy", "findings": [{ "name": "web", "passed": false, "detail": "exit 3" }] });
    assert_eq!(case.differences(Ok(&answer), &[]), Vec::<String>::new());
}

#[test]
fn an_error_can_be_what_is_expected() {
    let case = release("expect = { error = '`keep` is a text' }");
    assert_eq!(case.differences(Err("setting `keep` is a text, but …"), &[]), Vec::<String>::new());
    assert_eq!(case.differences(Err("something else"), &[]).len(), 1);
    assert_eq!(case.differences(Ok(&json!([])), &[]).len(), 1);
}

#[test]
fn a_mistake_in_a_file_is_named_with_its_place() {
    let release = |body: &str| error(&format!("function = 'release'\n[[case]]\nname = 'x'\n{body}"));
    assert!(error("[[case]]\nname = 'x'\nkeep = 3\nexpect = { a = 1 }").starts_with("line 3: unknown field `keep`"));
    assert_eq!(error("zone = 'UTC'"), "no cases: each begins with `[[case]]`");
    assert_eq!(error("[[case]]\nname = 'x'\nexpect = { kept = 1 }"), "case `x`: `function` is missing");
    assert!(release("zone = 'Mars/Base'\nexpect = { kept = 1 }").contains("`Mars/Base` is not a time zone"));
    assert!(release("expect = { kpt = 1 }").contains("expect: unknown field `kpt`"));
    assert!(release("expect = {}").contains("every answer would do"));
    assert!(
        release("request = { verb = 'backup' }\nexpect = { kept = 1 }")
            .contains("`request` means nothing for `release`")
    );
    assert!(release("history = { from = 2026-01-01 }\nexpect = { kept = 1 }").contains("exactly one of `days`"));
    assert!(release("history = { from = 2026-01-01, dys = 3 }\nexpect = { kept = 1 }").contains("unknown field `dys`"));
    let twice = "backups = [{ created = 2026-01-01 }, { created = 2026-01-01 }]\nexpect = { kept = 1 }";
    assert!(release(twice).contains("two backups are called `2026-01-01`"));
    let strange = "change = [{ backups = ['y'], held = true }]\nexpect = { kept = 1 }";
    assert!(release(strange).contains("`change` names `y`"));
}
