//! What is not loaded, and what the operator is told.

use backstop_model::policy::{SignerConfig, World};
use backstop_policy::{Candidate, inspect, sign};
use wit_parser::Resolve;

use super::kit::{
    assert_well, candidate, component, engine, guest, hostile, load, module, only, reasonable, refusal,
    release_question,
};

fn good() -> Vec<u8> {
    reasonable(World::Retention, "keep-newest.wat")
}

/// A component of a package of another version that is otherwise the same.
fn of_version(version: &str, world: World) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../wit/1.0.0");
    let mut resolve = Resolve::default();
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the WIT").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    let text = files.iter().map(|file| {
        let text = std::fs::read_to_string(file).expect("text");
        text.lines().filter(|line| !line.starts_with("package ")).fold(String::new(), |all, line| all + line + "\n")
    });
    let text = format!("package backstop:policy@{version};\n{}", text.collect::<String>());
    let package = resolve.push_str("all.wit", &text).expect("valid");
    component(&resolve, package, world.word(), &module(world, "", version))
}

fn with_wasi() -> Vec<u8> {
    let mut resolve = Resolve::default();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../wit/1.0.0");
    resolve.push_dir(folder).expect("the WIT is valid");
    let wasi = "package wasi:cli@0.2.0; interface environment { get-arguments: func() -> list<string>; }";
    resolve.push_str("wasi.wit", wasi).expect("valid");
    let world =
        "package test:it; world leaky { include backstop:policy/retention@1.0.0; import wasi:cli/environment@0.2.0; }";
    let package = resolve.push_str("leaky.wit", world).expect("valid");
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/wasi.wat");
    let fields = std::fs::read_to_string(path).expect("the guest");
    component(&resolve, package, "leaky", &module(World::Retention, &fields, "1.0.0"))
}

#[test]
fn the_facts_of_a_component_are_read_without_running_it() {
    let bytes = hostile(World::Retention, "loop-in-start.wat");
    let facts = inspect(&bytes).expect("a policy");
    assert_eq!((facts.world, facts.wit_version.as_str()), (World::Retention, "1.0.0"));
    assert_eq!((facts.size, facts.sha256), (bytes.len() as u64, sign::sha256_hex(&bytes)));
    assert_eq!(facts.exports, ["backstop:policy/retention-rules@1.0.0"]);
    assert_eq!(facts.imports, ["backstop:policy/log@1.0.0", "backstop:policy/types@1.0.0"]);
}

#[test]
fn a_component_that_wants_wasi_is_refused_with_the_way_out() {
    let engine = engine();
    let message = refusal(&engine, candidate(World::Retention, with_wasi()));
    let expected = "it imports `wasi:cli/environment@0.2.0`: policies get no files, clocks, environment or chance: build it \
                    without WASI (Rust: target `wasm32-unknown-unknown`; JavaScript and Python: `--stub-wasi`)";
    assert_eq!(message, expected);
    assert_well(&engine);
}

#[test]
fn a_component_bound_to_another_world_is_refused() {
    let engine = engine();
    let message = refusal(&engine, candidate(World::Validation, good()));
    let expected = "it is for world `retention` and bound as `validation`: write `world = \"retention\"`, or bind another \
                    component";
    assert_eq!(message, expected);
}

/// What one world has, another does not get.
#[test]
fn a_retention_policy_gets_no_way_out() {
    let sink =
        "(import \"backstop:policy/http@1.0.0\" \"send\" (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))";
    let mut resolve = Resolve::default();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../wit/1.0.0");
    resolve.push_dir(folder).expect("the WIT is valid");
    let world =
        "package test:it; world greedy { include backstop:policy/retention@1.0.0; import backstop:policy/http@1.0.0; }";
    let package = resolve.push_str("greedy.wit", world).expect("valid");
    let bytes = component(&resolve, package, "greedy", &module(World::Retention, sink, "1.0.0"));
    let message = refusal(&engine(), candidate(World::Retention, bytes));
    assert_eq!(message, "it imports `backstop:policy/http@1.0.0`, which world `retention` does not have");
}

#[test]
fn a_component_of_another_major_version_is_refused_naming_both() {
    for (version, hint) in [("2.0.0", "a newer agent is needed"), ("0.9.0", "build it anew")] {
        let message = refusal(&engine(), candidate(World::Retention, of_version(version, World::Retention)));
        assert_eq!(message, format!("it was built for `backstop:policy` {version}, this agent knows 1.0.0: {hint}"));
    }
}

/// A newer minor version that wants nothing new runs.
#[test]
fn a_component_of_a_later_minor_version_that_wants_nothing_new_is_loaded() {
    let engine = engine();
    let set = load(&engine, candidate(World::Retention, of_version("1.7.3", World::Retention)));
    assert_eq!(only(&set).fault(), None);
    assert_eq!(only(&set).facts().map(|facts| facts.wit_version.as_str()), Some("1.7.3"));
    assert_eq!(only(&set).ask_release(&release_question(2)).answer, Ok(Vec::new()));
}

#[test]
fn what_is_no_component_is_refused() {
    let engine = engine();
    let core = wat::parse_str("(module)").expect("valid");
    let elsewhere = {
        let mut resolve = Resolve::default();
        let text = "package test:it; interface things { f: func(); } world other { export things; }";
        let package = resolve.push_str("other.wit", text).expect("valid");
        let module = "(module (func (export \"test:it/things#f\")))";
        component(&resolve, package, "other", module)
    };
    for (bytes, expected) in [
        (Vec::new(), "its file is empty"),
        (b"#!/bin/sh\n".to_vec(), "its file is no WebAssembly component"),
        (
            core,
            "its file is a core module, not a component: make a component of it, as with `wasm-tools component new`",
        ),
        (
            elsewhere,
            "it is for no world of `backstop:policy`: it exports \"test:it/things\" and none of `retention-rules`, \
             `validation-rules`, `alert-delivery`, `health-rules`",
        ),
    ] {
        assert_eq!(refusal(&engine, candidate(World::Retention, bytes)), expected);
    }
}

/// Wherever the file ends too early, it is refused in words. What comes last in a component are names for people: cut off
/// exactly between two of those sections it would be a whole component, but not the one that was pinned.
#[test]
fn a_file_that_is_cut_off_anywhere_is_refused() {
    let bytes = good();
    let whole: Vec<_> = (1..bytes.len()).filter(|length| inspect(&bytes[..*length]).is_ok()).collect();
    assert!(whole.len() <= 2 && whole.iter().all(|length| *length > bytes.len() / 2), "{whole:?} of {}", bytes.len());
    let engine = engine();
    let pinned = candidate(World::Retention, bytes.clone());
    for length in whole.into_iter().chain([1, bytes.len() / 2, bytes.len() - 1]) {
        let message = refusal(&engine, Candidate { component: Ok(bytes[..length].to_vec()), ..pinned.clone() });
        assert!(message.ends_with("it is another component, or it was changed"), "{message}");
    }
    let message = refusal(&engine, candidate(World::Retention, bytes[..bytes.len() / 2].to_vec()));
    assert!(message.starts_with("its file is cut off or damaged: "), "{message}");
    assert!(inspect(&[bytes, b"\0".to_vec()].concat()).is_err(), "longer than it is");
}

/// Damage anywhere is either refused or harmless: never a panic.
#[test]
fn damage_anywhere_is_refused_or_harmless() {
    let (engine, bytes) = (engine(), good());
    for at in (0..bytes.len()).step_by(3) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        let set = load(&engine, candidate(World::Retention, damaged));
        if only(&set).fault().is_none() {
            let _ = only(&set).ask_release(&release_question(3));
        }
    }
    assert_well(&engine);
}

#[test]
fn another_component_than_the_one_pinned_is_refused() {
    let pinned = candidate(World::Retention, good());
    let evil = hostile(World::Retention, "release-everything.wat");
    let digest = sign::sha256_hex(&evil);
    let message = refusal(&engine(), Candidate { component: Ok(evil), ..pinned.clone() });
    let expected = format!(
        "its digest is {digest}, `sha256` says \"{}\": it is another component, or it was changed",
        pinned.config.sha256.expect("pinned")
    );
    assert_eq!(message, expected);
}

#[test]
fn a_component_that_nothing_vouches_for_is_refused() {
    let mut unpinned = candidate(World::Retention, good());
    unpinned.config.sha256 = None;
    assert_eq!(refusal(&engine(), unpinned), "neither `sha256` nor `signer` says which component is meant");
}

#[test]
fn a_file_that_cannot_be_read_leaves_its_policy_listed() {
    let engine = engine();
    let absent = Candidate { component: Err("no such file".to_owned()), ..candidate(World::Retention, Vec::new()) };
    let set = load(&engine, absent);
    let message = "its file `/etc/backstop/policies/under-test.wasm` cannot be read: no such file";
    assert_eq!(only(&set).fault().map(|fault| fault.message.as_str()), Some(message));
    assert_eq!(only(&set).digest(), "");
    let asked = only(&set).ask_release(&release_question(1));
    assert_eq!(asked.answer.expect_err("a fault").message, message);
}

fn signed(manifest: Option<&[u8]>) -> Candidate {
    let pair = sign::keygen([5; 32]);
    let mut candidate = candidate(World::Retention, good());
    candidate.config.sha256 = None;
    candidate.config.signer = Some("release".parse().expect("a name"));
    candidate.signature = Some(sign::sign(&pair.secret, &good(), manifest).expect("signed").into_bytes());
    candidate.manifest = manifest.map(<[u8]>::to_vec);
    let public_key = pair.public;
    candidate.signer = Some(SignerConfig { name: "release".parse().expect("a name"), public_key });
    candidate
}

const MANIFEST: &[u8] = b"name = \"keep-newest\"\nversion = \"1.2.0\"\nworld = \"retention\"\nwit = \"1.0.0\"\n";

#[test]
fn a_signed_component_is_loaded_with_its_manifest_and_its_signer() {
    let engine = engine();
    let set = load(&engine, signed(Some(MANIFEST)));
    assert_eq!(only(&set).fault(), None);
    let facts = only(&set).facts().expect("facts");
    assert_eq!(facts.manifest.as_ref().map(|manifest| manifest.version.as_str()), Some("1.2.0"));
    assert_eq!(facts.signer.as_ref().map(ToString::to_string).as_deref(), Some("release"));
}

#[test]
fn a_signature_that_does_not_hold_is_told_apart_from_one_that_is_missing() {
    let engine = engine();
    let refused = |change: &dyn Fn(&mut Candidate)| {
        let mut candidate = signed(Some(MANIFEST));
        change(&mut candidate);
        refusal(&engine, candidate)
    };
    assert_eq!(
        refused(&|candidate| candidate.signature = None),
        "it must be signed by `release`, and there is no signature in `/etc/backstop/policies/under-test.sig`"
    );
    assert_eq!(
        refused(&|candidate| candidate.component = Ok(hostile(World::Retention, "release-everything.wat"))),
        "the signature is for another component: it changed since it was signed"
    );
    assert_eq!(
        refused(&|candidate| candidate.manifest = None),
        "the signature is for another manifest: it changed since it was signed"
    );
    assert_eq!(
        refused(&|candidate| {
            let text = String::from_utf8(candidate.signature.clone().expect("a signature")).expect("text");
            let digest = sign::sha256_hex(&good());
            let other = sign::sha256_hex(b"other");
            candidate.signature = Some(text.replace(&digest, &other).into_bytes());
        }),
        "the signature does not hold: it, or what it covers, was tampered with"
    );
    assert_eq!(
        refused(&|candidate| candidate.signer = None),
        "its signer `release` is not configured (`[signer.release]`)"
    );
    let other = sign::keygen([6; 32]).public;
    assert!(
        refused(&|candidate| candidate.signer.as_mut().expect("a signer").public_key.clone_from(&other))
            .starts_with("the signature was made with key `")
    );
}

#[test]
fn a_manifest_that_says_something_else_is_refused() {
    let engine = engine();
    let refused = |manifest: &[u8]| {
        refusal(&engine, Candidate { manifest: Some(manifest.to_vec()), ..candidate(World::Retention, good()) })
    };
    let other = String::from_utf8_lossy(MANIFEST).replace("retention", "validation");
    assert_eq!(
        refused(other.as_bytes()),
        "its manifest says that it is for world `validation`, and it is for `retention`"
    );
    assert!(refused(b"name = \"x\"\nwit = 7\n").starts_with("its manifest cannot be read: line 2: "));
    assert_eq!(refused(b"\xff"), "its manifest cannot be read: it is not UTF-8 text");
}

/// What was checked is what runs: the file may be replaced between the two, the bytes cannot.
#[test]
fn a_file_replaced_between_check_and_load_changes_nothing() {
    let folder = std::env::temp_dir().join(format!("backstop-policy-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("swapped.wasm");
    std::fs::write(&file, good()).expect("written");
    let mut candidate = candidate(World::Retention, std::fs::read(&file).expect("read"));
    candidate.config.component.clone_from(&file);
    assert!(inspect(candidate.component.as_ref().expect("bytes")).is_ok(), "checked");
    std::fs::write(&file, hostile(World::Retention, "release-everything.wat")).expect("replaced");
    let engine = engine();
    let set = load(&engine, candidate);
    std::fs::remove_dir_all(&folder).expect("removed");
    let verdicts = only(&set).ask_release(&release_question(10)).answer.expect("an answer");
    assert_eq!(verdicts.iter().filter(|verdict| verdict.release).count(), 3, "the rule that was checked");
}

/// A component whose functions have other types than the WIT's is refused when it is loaded, not when it is asked.
#[test]
fn functions_of_other_types_are_refused_at_load() {
    let mut resolve = Resolve::default();
    let text = "package backstop:policy@1.0.0; interface log { write: func(line: string); }
        interface retention-rules { tiers: func() -> string; release: func() -> string; }
        world retention { export retention-rules; }";
    let package = resolve.push_str("other.wit", text).expect("valid");
    let module = "(module (memory (export \"memory\") 1)
        (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export \"backstop:policy/retention-rules@1.0.0#tiers\") (result i32) (i32.const 8))
        (func (export \"backstop:policy/retention-rules@1.0.0#release\") (result i32) (i32.const 8)))";
    let bytes = component(&resolve, package, "retention", module);
    let message = refusal(&engine(), candidate(World::Retention, bytes));
    assert!(message.starts_with("it is not what world `retention` 1.0.0 asks for: "), "{message}");
}

#[test]
fn every_world_has_components_that_load() {
    let engine = engine();
    for world in World::ALL {
        let set = load(&engine, candidate(world, guest(world, "")));
        assert_eq!(only(&set).fault(), None, "{world}");
    }
}

/// What stands in `policies/` is loaded with its manifest, as it is.
#[test]
fn every_ready_made_policy_is_loaded() {
    let engine = engine();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../policies");
    let files = std::fs::read_dir(folder).expect("the ready-made policies").map(|entry| entry.expect("a file").path());
    let components: Vec<_> = files.filter(|file| file.extension().is_some_and(|ending| ending == "wasm")).collect();
    assert!(components.len() >= 10, "{components:?}");
    for file in components {
        let bytes = std::fs::read(&file).expect("read");
        let world = inspect(&bytes).unwrap_or_else(|fault| panic!("{}: {}", file.display(), fault.message)).world;
        let manifest = Some(std::fs::read(file.with_extension("manifest")).expect("a manifest"));
        let set = load(&engine, Candidate { manifest, ..candidate(world, bytes) });
        assert_eq!(only(&set).fault(), None, "{}", file.display());
    }
}
