//! Object stores, as far as the vault stands on them.

use futures::executor::block_on;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions};

/// Runs all of the suite on an empty store, and leaves it empty.
///
/// # Panics
/// When an answer of the store is one that the vault cannot live with.
pub fn store(store: &dyn ObjectStore) {
    absent(store);
    put_if_absent(store);
    whole_and_in_part(store);
    listed(store);
    raced(store);
    removed(store);
}

fn put_new(store: &dyn ObjectStore, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    block_on(store.put_opts(&Path::from(name), bytes.to_vec().into(), options)).map(drop)
}

fn get(store: &dyn ObjectStore, name: &str) -> Result<Vec<u8>, Error> {
    let path = Path::from(name);
    block_on(async { store.get(&path).await?.bytes().await }).map(|bytes| bytes.to_vec())
}

fn names(store: &dyn ObjectStore, prefix: Option<&str>) -> Vec<String> {
    let prefix = prefix.map(Path::from);
    let found =
        block_on(store.list(prefix.as_ref()).map_ok(|meta| (meta.location.to_string(), meta.size)).try_collect());
    let mut found: Vec<(String, u64)> = found.expect("a list of what is there");
    found.sort();
    for (name, size) in &found {
        let length = get(store, name).expect("what is listed can be read").len() as u64;
        assert_eq!(*size, length, "the listed size of `{name}` is not its length");
    }
    found.into_iter().map(|(name, _)| name).collect()
}

fn absent(store: &dyn ObjectStore) {
    assert_eq!(names(store, None), Vec::<String>::new(), "the suite wants an empty store");
    assert_eq!(names(store, Some("packs")), Vec::<String>::new(), "a prefix that nothing has lists nothing");
    let missing = Path::from("packs/00/missing");
    for (what, answer) in [
        ("get", get(store, missing.as_ref()).map(drop)),
        ("head", block_on(store.head(&missing)).map(drop)),
        ("get_range", block_on(store.get_range(&missing, 0..1)).map(drop)),
    ] {
        assert!(matches!(answer, Err(Error::NotFound { .. })), "{what} of a missing object: {answer:?}");
    }
    // A real cloud may answer either way; the vault takes both as gone.
    let gone = block_on(store.delete(&missing));
    assert!(matches!(gone, Ok(()) | Err(Error::NotFound { .. })), "delete of a missing object: {gone:?}");
}

fn put_if_absent(store: &dyn ObjectStore) {
    put_new(store, "config", b"first").expect("an absent name takes its object");
    let again = put_new(store, "config", b"second, longer");
    assert!(matches!(again, Err(Error::AlreadyExists { .. })), "a taken name: {again:?}");
    assert_eq!(get(store, "config").expect("there"), b"first", "a refused put changed the object");
    put_new(store, "keys/empty", b"").expect("an empty object is one");
    assert_eq!(get(store, "keys/empty").expect("there"), b"");
}

fn whole_and_in_part(store: &dyn ObjectStore) {
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    put_new(store, "packs/aa/pack", &bytes).expect("absent");
    let path = Path::from("packs/aa/pack");
    assert_eq!(block_on(store.head(&path)).expect("there").size, 300_000);
    assert!(get(store, "packs/aa/pack").expect("there") == bytes, "the object reads back as it was put");
    for range in [0..1, 0..300_000, 65_535..65_537, 299_999..300_000] {
        let wanted = &bytes[usize::try_from(range.start).expect("small")..usize::try_from(range.end).expect("small")];
        let found = block_on(store.get_range(&path, range.clone())).expect("inside the object");
        assert!(found == wanted, "bytes {range:?} are others than those put");
    }
    // Past the end: an error, or what there is. More would be made up.
    if let Ok(found) = block_on(store.get_range(&path, 299_990..300_010)) {
        assert!(found == bytes[299_990..], "a range past the end gave {} bytes", found.len());
    }
}

fn listed(store: &dyn ObjectStore) {
    for name in ["packs/ab/one", "packs/ab/two", "packs-of-another/x", "snapshots/s"] {
        put_new(store, name, name.as_bytes()).expect("absent");
    }
    assert_eq!(names(store, Some("packs")), ["packs/aa/pack", "packs/ab/one", "packs/ab/two"], "a prefix is a folder");
    assert_eq!(names(store, Some("packs/ab")), ["packs/ab/one", "packs/ab/two"]);
    assert_eq!(names(store, None).len(), 7, "everything is listed once, as soon as its put returned");
}

fn raced(store: &dyn ObjectStore) {
    let won: usize = std::thread::scope(|scope| {
        let put = |byte: u8| move || usize::from(put_new(store, "raced", &vec![byte; 4096]).is_ok());
        let tasks: Vec<_> = (1..=6).map(|byte| scope.spawn(put(byte))).collect();
        tasks.into_iter().map(|task| task.join().expect("no panic")).sum()
    });
    assert_eq!(won, 1, "of six who put the same name, so many were told that they did");
    let found = get(store, "raced").expect("there");
    assert!(found.len() == 4096 && found.iter().all(|byte| *byte == found[0]), "the object is a mixture of two");
}

fn removed(store: &dyn ObjectStore) {
    let all = names(store, None);
    for name in &all {
        block_on(store.delete(&Path::from(name.as_str()))).expect("it is there");
        let found = get(store, name);
        assert!(matches!(found, Err(Error::NotFound { .. })), "`{name}` was deleted and reads {found:?}");
    }
    let left = block_on(store.list(None).next());
    assert!(left.is_none(), "deleted objects are still listed: {left:?}");
    put_new(store, "config", b"again").expect("a name is free again once its object is deleted");
    block_on(store.delete(&Path::from("config"))).expect("it is there");
}
