//! The keys of a store that many machines may share: which of them are in use, which one is active, and sealing
//! everything with it while other processes use the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::error::SessionError;
use super::key::{KeyError, KeySet, Retired, ValueCount};
use super::pages::Pages;
use super::record;
use super::seal::{self, Seal};
use super::sealed::{SealedSessions, off_thread};
use super::sign_in_values::{client_data, pending_data};
use crate::store::{Place, Replacement, SealedValue, StoreError, ValueKind};

type Result<T> = std::result::Result<T, SessionError>;

/// How many values are sealed again at a time.
const BATCH: usize = 100;

/// How many headers are read at a time.
const HEADERS: usize = 10_000;

/// How often to look for values that other processes have sealed with an earlier key meanwhile.
const PASSES: usize = 5;

/// A key that is on this machine, active, or used by a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// The id of the key. `None` for values of an earlier version, which do not name their key.
    pub id: Option<String>,
    /// Whether this machine has it.
    pub is_here: bool,
    /// Whether it is the active one.
    pub is_active: bool,
    /// The values that are sealed with it.
    pub values: ValueCount,
}

/// What [`SealedSessions::reseal`] has done.
#[derive(Debug, Clone)]
pub struct Resealed {
    /// The id of the active key.
    pub key: String,
    /// What was sealed again.
    pub resealed: ValueCount,
    /// What was sealed with the active key already.
    pub already: ValueCount,
    /// What does not open, or was sealed with an earlier key again and again.
    pub left: ValueCount,
    /// Why something is left.
    pub error: Option<SessionError>,
}

impl SealedSessions {
    /// The keys of this machine, those that stored values are sealed with, and the active one, in this order: the keys
    /// of this machine, then others by id.
    ///
    /// # Errors
    /// If the store or the keys cannot be read.
    pub async fn key_uses(&self) -> Result<Vec<KeyUse>> {
        let keys = self.keystore().clone();
        let here = off_thread(move || Ok(keys.ids()?)).await?;
        let active = self.active_key(&here).await?;
        let mut counts = self.counts().await?;
        let elsewhere = active.iter().cloned().map(Some).chain(counts.keys().cloned());
        let mut ids: Vec<_> = here.iter().cloned().map(Some).collect();
        for id in elsewhere.collect::<BTreeSet<_>>() {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let uses = ids.into_iter().map(|id| KeyUse {
            is_here: id.as_ref().is_some_and(|id| here.contains(id)),
            is_active: id.is_some() && id == active,
            values: counts.remove(&id).unwrap_or_default(),
            id,
        });
        Ok(uses.collect())
    }

    /// The id of the key that seals new values: the one that the store names, or the first one of this machine.
    async fn active_key(&self, here: &[String]) -> Result<Option<String>> {
        let active = self.waiting(self.store().active_key()).await?;
        Ok(active.or_else(|| here.first().cloned()))
    }

    /// The numbers of values by the id of their key.
    async fn counts(&self) -> Result<BTreeMap<Option<String>, ValueCount>> {
        let mut counts = BTreeMap::<_, ValueCount>::new();
        for kind in ValueKind::ALL {
            let mut pages = Pages::new(&**self.store(), kind, HEADERS).headers(record::HEADER);
            while let Some(values) = self.waiting(pages.next()).await? {
                for value in values.iter().filter(|value| !is_erased(value)) {
                    counts.entry(key_id(value).map(str::to_owned)).or_default().add(kind);
                }
            }
        }
        Ok(counts)
    }

    /// Makes a key the active one, which seals new values on every machine that uses the store. Returns whether another
    /// one was active.
    ///
    /// # Errors
    /// [`KeyError::Unknown`] if this machine does not have the key, and others if the keys or the store cannot be used.
    pub async fn activate_key(&self, id: &str) -> Result<bool> {
        let (keys, wanted) = (self.keystore().clone(), id.to_owned());
        off_thread(move || Ok(keys.check_key(&wanted)?)).await?;
        let before = self.store().active_key().await?;
        match self.store().activate_key(id, false).await? {
            Some(_) => Ok(before.as_deref() != Some(id)),
            None => {
                let (keys, id) = (self.keystore().clone(), id.to_owned());
                off_thread(move || Ok(keys.put_first(&id)?)).await
            }
        }
    }

    /// Seals everything in the store with the active key, in batches, while other processes use the store. What they
    /// change meanwhile is not lost. If it is interrupted, everything opens, and the next call continues.
    ///
    /// # Errors
    /// If the store cannot be used, or this machine does not have the active key.
    pub async fn reseal(&self) -> Result<Resealed> {
        let (keys, active) = (self.keystore().clone(), self.store().active_key().await?);
        // The keys of this machine stay as they are meanwhile.
        let held = off_thread(move || Ok(keys.seal(active.as_deref())?)).await?;
        let seal = Arc::new(Seal::clone(&held.seal));
        let pass = self.reseal_all(&seal).await?;
        Ok(Resealed {
            key: seal.id().to_owned(),
            resealed: pass.resealed,
            already: pass.already,
            left: pass.left,
            // Otherwise other processes go on with an earlier key.
            error: pass.error.or_else(|| (!pass.left.is_empty()).then(|| StoreError::Superseded.into())),
        })
    }

    /// Removes a key that is not active and that nothing is sealed with from this machine.
    ///
    /// # Errors
    /// [`KeyError::Active`], [`KeyError::InUse`], [`KeyError::ActiveNotHere`], [`KeyError::Unknown`], and others if the
    /// keys or the store cannot be used.
    pub async fn retire_key(&self, id: &str) -> Result<Retired> {
        let keys = self.keystore().clone();
        // A process of this machine that is about to save something has finished then.
        let alone = off_thread(move || Ok(keys.hold_alone()?)).await?;
        let keys = self.keystore().clone();
        let here = off_thread(move || Ok(keys.ids()?)).await?;
        let active = self.active_key(&here).await?;
        if active.as_deref() == Some(id) {
            return Err(KeyError::Active { id: id.to_owned() }.into());
        }
        if let Some(active) = active.filter(|active| !here.contains(active)) {
            return Err(KeyError::ActiveNotHere { id: active, origin: self.keystore().origin() }.into());
        }
        // So have those of other machines.
        self.store().wait_for_locks().await?;
        let mut counts = self.counts().await?;
        // A value that does not name its key may be sealed with this one.
        let [named, unnamed] = [Some(id.to_owned()), None].map(|id| counts.remove(&id).unwrap_or_default());
        let values = named.and(unnamed);
        if !values.is_empty() {
            return Err(KeyError::InUse { id: id.to_owned(), values }.into());
        }
        let (keys, id) = (self.keystore().clone(), id.to_owned());
        off_thread(move || Ok(keys.remove_key(&id, &alone)?)).await
    }

    /// Checks that every session opens.
    pub(super) async fn check_all(&self, seal: &Arc<Seal>) -> Result<()> {
        let mut pass = Pass::default();
        self.each_batch(ValueKind::Session, seal, &mut pass, false).await?;
        match (pass.left.is_empty(), pass.error) {
            (false, Some(error)) => Err(error),
            (false, None) => Err(self.does_not_open()),
            (true, _) => Ok(()),
        }
    }

    /// Seals everything with this seal that is not sealed with it.
    pub(super) async fn reseal_all(&self, seal: &Arc<Seal>) -> Result<Pass> {
        let mut first = None;
        let mut passes = 0;
        loop {
            let mut pass = Pass::default();
            for kind in ValueKind::ALL {
                self.each_batch(kind, seal, &mut pass, true).await?;
            }
            passes += 1;
            let is_quiet = pass.resealed.is_empty() && pass.changed.is_empty();
            let already = *first.get_or_insert(pass.already);
            if is_quiet || passes == PASSES {
                // Each value counts once, however often another process has sealed it with an earlier key meanwhile.
                let resealed = pass.already.and(pass.resealed).without(already);
                let left = pass.left.and(pass.changed);
                return Ok(Pass { resealed, already, left, ..pass });
            }
            // What was begun with an earlier key is saved then.
            self.store().wait_for_locks().await?;
        }
    }

    /// Goes through the values of one kind. With `write`, seals them again.
    async fn each_batch(&self, kind: ValueKind, seal: &Arc<Seal>, pass: &mut Pass, write: bool) -> Result<()> {
        let mut pages = Pages::new(&**self.store(), kind, BATCH);
        while let Some(values) = pages.next().await? {
            let (sessions, seal) = (self.clone(), seal.clone());
            let batch = off_thread(move || Batch::of(values, kind, &sessions, &seal)).await?;
            pass.already = pass.already.and(batch.already);
            pass.left = pass.left.and(batch.left);
            pass.error = pass.error.take().or(batch.error);
            if write {
                let count = batch.replacements.len();
                let replaced = match count {
                    0 => 0,
                    _ => self.store().replace_values(batch.replacements).await?,
                };
                (0..replaced).for_each(|_| pass.resealed.add(kind));
                (replaced..count).for_each(|_| pass.changed.add(kind));
            }
        }
        Ok(())
    }
}

/// What going through all values has found.
#[derive(Default)]
pub(super) struct Pass {
    resealed: ValueCount,
    already: ValueCount,
    /// What other processes have changed meanwhile.
    changed: ValueCount,
    /// What does not open.
    left: ValueCount,
    error: Option<SessionError>,
}

/// Values of one kind, sealed again.
#[derive(Default)]
struct Batch {
    replacements: Vec<Replacement>,
    already: ValueCount,
    left: ValueCount,
    error: Option<SessionError>,
}

impl Batch {
    fn of(values: Vec<SealedValue>, kind: ValueKind, sessions: &SealedSessions, seal: &Seal) -> Result<Self> {
        let mut batch = Self::default();
        let keys = sessions.keystore().key_set(None)?;
        for value in values.into_iter().filter(|value| !is_erased(value)) {
            if key_id(&value) == Some(seal.id()) {
                batch.already.add(kind);
                continue;
            }
            match resealed(&value, seal, &keys) {
                Ok(Some(after)) => {
                    batch.replacements.push(Replacement { place: value.place, before: value.bytes, after });
                }
                Ok(None) => {
                    batch.left.add(kind);
                    batch.error.get_or_insert_with(|| sessions.does_not_open());
                }
                Err(error) => {
                    batch.left.add(kind);
                    batch.error.get_or_insert(error);
                }
            }
        }
        Ok(batch)
    }
}

/// Whether a value is what is left of a session that was moved to another store.
fn is_erased(value: &SealedValue) -> bool {
    matches!(value.place, Place::Session { .. }) && record::is_erased(&value.bytes)
}

/// The id of the key that a value names.
fn key_id(value: &SealedValue) -> Option<&str> {
    match value.place {
        Place::Session { .. } => record::key_id(&value.bytes),
        Place::PendingSignIn { .. } | Place::Client { .. } => seal::key_id(&value.bytes),
    }
}

/// The value sealed with this seal. `None` if it does not open.
fn resealed(value: &SealedValue, seal: &Seal, keys: &KeySet) -> Result<Option<Vec<u8>>> {
    let open =
        |associated: &[u8], sealed: &[u8]| Ok(keys.open(seal::key_id(sealed), |seal| seal.open(associated, sealed))?);
    let associated = match &value.place {
        Place::Session { key, generation } => return record::reseal(seal, key, *generation, &value.bytes, open),
        Place::PendingSignIn { owner, state_hash } => pending_data(owner, state_hash),
        Place::Client { issuer, redirect_uri } => client_data(issuer, redirect_uri),
    };
    let Some(plain) = open(&associated, &value.bytes)? else { return Ok(None) };
    Ok(Some(seal.seal(&associated, &plain)?))
}
