//! Leases with fencing epochs.
//!
//! A lease says who may act on a key until when. It is no lock: a crashed owner's runs out by itself. So two
//! processes can believe to own one key, the elder because it slept; the epoch tells them apart. It grows with every
//! acquisition of the key, for ever, and whoever changes anything checks it in the same transaction
//! ([`Catalog::journal`]) or right before the effect ([`Catalog::check`]).
//!
//! Wall clocks jump. Forward, a lease ends early and the epoch protects the work. Backward, it would last until the
//! old time comes again; therefore a lease that claims to have more than twice its length left counts as ended.

use backstop_model::{Span, Timestamp};
use rusqlite::{Row, Transaction, params};

use crate::code::{Reading, count, micros, truncated};
use crate::error::CatalogError;
use crate::store::Catalog;

/// A lease in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What it is on: `workload:docs`, `vault:main`.
    pub key: String,
    /// Who holds it.
    pub owner: String,
    /// Which acquisition of the key this is, from 1.
    pub epoch: u64,
    /// How long it lasts from each renewal.
    pub ttl: Span,
    /// When it ends unless renewed.
    pub expires: Timestamp,
}

/// A lease as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseView {
    /// What it is on.
    pub key: String,
    /// Who holds it.
    pub owner: String,
    /// Which acquisition of the key this is.
    pub epoch: u64,
    /// When it was acquired.
    pub acquired: Timestamp,
    /// When it ends unless renewed.
    pub expires: Timestamp,
}

struct Stored {
    owner: String,
    epoch: u64,
    held: bool,
    acquired: Timestamp,
    expires: Timestamp,
    ttl: Span,
}

impl Stored {
    fn alive(&self, now: Timestamp) -> bool {
        let left_max = Span::from_millis(self.ttl.as_millis().saturating_mul(2));
        self.held && now < self.expires && Span::between(now, self.expires) <= left_max
    }
}

impl Catalog {
    /// Takes the lease on `key` for `ttl` from now. The same owner asking twice is refused like anybody else: two
    /// of its threads must not both proceed.
    ///
    /// # Errors
    /// [`CatalogError::Held`] while another acquisition is alive.
    pub fn acquire(&self, key: &str, owner: &str, ttl: Span, now: Timestamp) -> Result<Lease, CatalogError> {
        self.write(|tx| {
            let known = stored(tx, key)?;
            if let Some(other) = known.as_ref().filter(|known| known.alive(now)) {
                let (by, until) = (other.owner.clone(), other.expires);
                return Err(CatalogError::Held { key: key.to_owned(), by, until });
            }
            let epoch = known.map_or(0, |known| known.epoch) + 1;
            let expires = truncated(ttl.after(now));
            tx.execute(
                "INSERT INTO leases (key, owner, epoch, held, acquired, expires, ttl) \
                 VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6) ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, \
                 epoch = excluded.epoch, held = 1, acquired = excluded.acquired, expires = excluded.expires, \
                 ttl = excluded.ttl",
                params![key, owner, count(epoch), micros(now), micros(expires), count(ttl.as_millis())],
            )?;
            Ok(Lease { key: key.to_owned(), owner: owner.to_owned(), epoch, ttl, expires })
        })
    }

    /// Extends the lease to its full length from now. One that ran out and that nobody took meanwhile comes back.
    ///
    /// # Errors
    /// [`CatalogError::LeaseLost`] when it passed to somebody else or was released.
    pub fn renew(&self, lease: &Lease, now: Timestamp) -> Result<Lease, CatalogError> {
        self.write(|tx| {
            still_ours(tx, lease)?;
            let expires = truncated(lease.ttl.after(now));
            tx.execute("UPDATE leases SET expires = ?2 WHERE key = ?1", params![lease.key, micros(expires)])?;
            Ok(Lease { expires, ..lease.clone() })
        })
    }

    /// Says whether the lease is ours and alive; asked right before every destructive effect. What counts is the
    /// stored end, so that a copy of the lease renewed elsewhere is as good as this one.
    ///
    /// # Errors
    /// [`CatalogError::LeaseLost`] when it ran out, passed to somebody else or was released.
    pub fn check(&self, lease: &Lease, now: Timestamp) -> Result<(), CatalogError> {
        self.read(|tx| if ours(tx, lease)?.alive(now) { Ok(()) } else { Err(lost(lease, "it ran out")) })
    }

    /// Gives the lease back. One that is not ours any more is left alone.
    ///
    /// # Errors
    /// Those of any write.
    pub fn release(&self, lease: &Lease) -> Result<(), CatalogError> {
        self.write(|tx| {
            let sql = "UPDATE leases SET held = 0 WHERE key = ?1 AND epoch = ?2 AND owner = ?3";
            tx.execute(sql, params![lease.key, count(lease.epoch), lease.owner])?;
            Ok(())
        })
    }

    /// The leases alive now, by key.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when rows make no sense.
    pub fn leases(&self, now: Timestamp) -> Result<Vec<LeaseView>, CatalogError> {
        self.read(|tx| {
            let mut alive = Vec::new();
            let mut statement =
                tx.prepare("SELECT owner, epoch, held, acquired, expires, ttl, key FROM leases ORDER BY key")?;
            for row in statement.query_and_then([], |row| Ok::<_, CatalogError>((stored_row(row)?, row.get(6)?)))? {
                let (stored, key) = row?;
                if stored.alive(now) {
                    let Stored { owner, epoch, acquired, expires, .. } = stored;
                    alive.push(LeaseView { key, owner, epoch, acquired, expires });
                }
            }
            Ok(alive)
        })
    }
}

/// That nobody acquired the key since, whatever the clock says: the fence in front of every change.
pub(crate) fn still_ours(tx: &Transaction<'_>, lease: &Lease) -> Result<(), CatalogError> {
    ours(tx, lease).map(|_| ())
}

fn ours(tx: &Transaction<'_>, lease: &Lease) -> Result<Stored, CatalogError> {
    match stored(tx, &lease.key)? {
        Some(known) if known.epoch != lease.epoch || known.owner != lease.owner => {
            Err(lost(lease, "another process took it over"))
        }
        Some(known) if !known.held => Err(lost(lease, "it was released")),
        Some(known) => Ok(known),
        None => Err(lost(lease, "the catalog does not know it")),
    }
}

fn lost(lease: &Lease, why: &'static str) -> CatalogError {
    CatalogError::LeaseLost { key: lease.key.clone(), why }
}

fn stored(tx: &Transaction<'_>, key: &str) -> Result<Option<Stored>, CatalogError> {
    tx.prepare("SELECT owner, epoch, held, acquired, expires, ttl FROM leases WHERE key = ?1")?
        .query_and_then([key], stored_row)?
        .next()
        .transpose()
}

fn stored_row(row: &Row<'_>) -> Result<Stored, CatalogError> {
    let reading = Reading::new("leases", row);
    Ok(Stored {
        owner: reading.get(0)?,
        epoch: reading.count(1)?,
        held: reading.get(2)?,
        acquired: reading.time(3)?,
        expires: reading.time(4)?,
        ttl: reading.span(5)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::at;

    const TTL: Span = Span::from_secs(60);

    #[test]
    fn a_second_owner_waits_until_the_first_releases_or_runs_out() {
        let catalog = Catalog::in_memory().expect("memory");
        let first = catalog.acquire("vault:main", "first", TTL, at(0)).expect("free");
        let error = catalog.acquire("vault:main", "second", TTL, at(59)).expect_err("held");
        assert_eq!(error.to_string(), "`vault:main` is in use by first until 1970-01-01T00:01:00Z");
        catalog.acquire("vault:main", "first", TTL, at(59)).expect_err("not even by itself");
        catalog.acquire("workload:docs", "second", TTL, at(59)).expect("another key");
        catalog.release(&first).expect("released");
        let second = catalog.acquire("vault:main", "second", TTL, at(59)).expect("free");
        let third = catalog.acquire("vault:main", "third", TTL, at(119)).expect("the second ran out");
        assert_eq!((first.epoch, second.epoch, third.epoch), (1, 2, 3));
        assert_eq!(catalog.leases(at(120)).expect("read").len(), 1, "only the third's is alive");
    }

    #[test]
    fn one_that_ran_out_fails_its_check_and_comes_back_only_while_nobody_took_it() {
        let catalog = Catalog::in_memory().expect("memory");
        let first = catalog.acquire("k", "first", TTL, at(0)).expect("free");
        catalog.check(&first, at(59)).expect("alive");
        catalog.check(&first, at(60)).expect_err("ran out");
        let renewed = catalog.renew(&first, at(70)).expect("nobody took it");
        assert_eq!(renewed.expires, at(130));
        catalog.check(&first, at(129)).expect("the stored end counts");
        catalog.acquire("k", "second", TTL, at(130)).expect("ran out");
        for result in [catalog.renew(&renewed, at(131)).map(|_| ()), catalog.check(&renewed, at(131))] {
            let error = result.expect_err("taken over");
            assert_eq!(error.to_string(), "the lease on `k` was lost: another process took it over");
        }
        catalog.release(&renewed).expect("harmless");
        assert_eq!(catalog.leases(at(131)).expect("read").len(), 1, "the second's is untouched");
    }

    #[test]
    fn a_clock_set_back_a_year_does_not_make_a_lease_eternal() {
        let catalog = Catalog::in_memory().expect("memory");
        let now = 40_000_000;
        catalog.acquire("k", "first", TTL, at(now)).expect("free");
        catalog.acquire("k", "second", TTL, at(now - 30)).expect_err("a small step back does not end a live lease");
        let second = catalog.acquire("k", "second", TTL, at(now - 31_536_000)).expect("implausible, hence ended");
        assert_eq!(second.epoch, 2);
    }

    #[derive(Debug, Clone)]
    enum Deed {
        Acquire(usize),
        Renew(usize),
        Check(usize),
        Release(usize),
        Wait(i64),
    }

    fn deed() -> impl Strategy<Value = Deed> {
        prop_oneof![
            (0..3_usize).prop_map(Deed::Acquire),
            (0..3_usize).prop_map(Deed::Renew),
            (0..3_usize).prop_map(Deed::Check),
            (0..3_usize).prop_map(Deed::Release),
            prop_oneof![4 => 1..90_i64, 1 => -40..0_i64, 1 => Just(-1_000_000), 1 => Just(1_000_000)]
                .prop_map(Deed::Wait),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Three owners, a clock that jumps: at any time at most the newest acquisition passes its check, epochs only
        /// grow, a refusal names a live lease, and nobody waits longer than twice the length.
        #[test]
        fn only_the_newest_acquisition_is_ever_obeyed(deeds in prop::collection::vec(deed(), 1..60)) {
            let catalog = Catalog::in_memory().expect("memory");
            let mut now = 10_000_000;
            let mut hands: [Option<Lease>; 3] = [None, None, None];
            let mut newest = 0;
            let mut released = true;
            for deed in deeds {
                match deed {
                    Deed::Acquire(who) => match catalog.acquire("k", ["a", "b", "c"][who], TTL, at(now)) {
                        Ok(lease) => {
                            prop_assert_eq!(lease.epoch, newest + 1);
                            newest = lease.epoch;
                            released = false;
                            hands[who] = Some(lease);
                        }
                        Err(CatalogError::Held { until, .. }) => {
                            prop_assert!(!released && at(now) < until);
                            prop_assert!(Span::between(at(now), until) <= Span::from_secs(120));
                        }
                        Err(other) => return Err(TestCaseError::fail(other.to_string())),
                    },
                    Deed::Renew(who) => if let Some(lease) = hands[who].clone() {
                        let renewed = catalog.renew(&lease, at(now));
                        prop_assert_eq!(renewed.is_ok(), lease.epoch == newest && !released);
                        if let Ok(lease) = renewed {
                            catalog.check(&lease, at(now)).expect("just renewed");
                            hands[who] = Some(lease);
                        }
                    },
                    Deed::Check(who) => if let Some(lease) = &hands[who] {
                        let passed = catalog.check(lease, at(now)).is_ok();
                        prop_assert!(!passed || (lease.epoch == newest && !released));
                        prop_assert!(!passed || at(now) < lease.expires);
                    },
                    Deed::Release(who) => if let Some(lease) = hands[who].take() {
                        catalog.release(&lease).expect("never fails");
                        released |= lease.epoch == newest;
                    },
                    Deed::Wait(seconds) => now += seconds,
                }
            }
            // Whoever is told to wait and asks again after twice the length gets it. (A lease that looks endless because
            // the clock went back is ended by being asked for, so it takes the first question as well.)
            let last = catalog.acquire("k", "last", TTL, at(now));
            let last = last.or_else(|_| catalog.acquire("k", "last", TTL, at(now + 121)));
            let last = last.expect("nobody waits longer than twice");
            prop_assert_eq!(last.epoch, newest + 1);
        }
    }
}
