//! Moves all sessions and registered clients from one store to another.
//!
//! A refresh token that is spent in two stores ends the session in both. So at most one of the two records can be used,
//! wherever the process is killed:
//!
//! 1. The record is copied to the target, marked as being in the source, read back and opened.
//! 2. The record in the source is marked as being in the target, and its sealed value is erased.
//! 3. The mark in the target is removed.
//! 4. The mark in the source is set to finished. Only then may a sign-in or a sign-out remove it.
//!
//! The session is locked in both stores meanwhile. [`next_step`] derives the step from the two records alone, so the
//! next move continues one that was interrupted.

use std::collections::BTreeSet;

use super::error::SessionError;
use super::key::{KeyError, KeyOrigin};
use super::pages::Pages;
use super::record;
use super::seal;
use super::sealed::{SealedSessions, off_thread};
use super::stored::StoreTime;
use crate::store::{Listed, LockedSession, Place, Record, SealedSession, SessionKey, StoreError, ValueKind};

type Result<T> = std::result::Result<T, SessionError>;

/// How often the move of a session starts over because a lock was lost or the session was replaced.
const RETRIES: u32 = 5;

/// How many registered clients are read at a time.
const CLIENTS: usize = 100;

/// How long what is put in the target to recognize it is kept at most, in seconds.
const PROBE_SECONDS: i64 = 60;

/// The result of a move between stores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MovedSessions {
    /// How many sessions were moved.
    pub sessions: usize,
    /// How many sessions an earlier move had moved to the same store.
    pub earlier: usize,
    /// How many sessions an earlier move had moved to another store.
    pub elsewhere: usize,
    /// How many registered clients were moved.
    pub clients: usize,
}

/// What is to be done with a session, from its record in the source and its record in the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Steps 1 and 2.
    HandOver,
    /// Step 3.
    Activate,
    /// An unused copy is left in the source: erase it.
    Erase,
    /// Step 4.
    Finish,
    /// It is in the target.
    Done,
    /// It was deleted.
    Gone,
    /// It was moved to a third store.
    Elsewhere,
    /// The target has another session.
    Occupied,
}

/// Two stores, by name, and the place of a session in both.
struct Route<'a> {
    source: &'a SealedSessions,
    target: &'a SealedSessions,
    source_name: &'a str,
    target_name: &'a str,
    from: &'a SessionKey,
    to: &'a SessionKey,
}

impl SealedSessions {
    /// Moves all sessions and registered clients to another store. The sessions of the empty owner become those of
    /// `owner`, if one is given. Their sealed bytes are not changed otherwise, so both stores need the same key.
    /// Pending sign-ins are not moved; they expire. `progress` is called before each session with its number and the
    /// number of all.
    ///
    /// What was moved is refused here from then on ([`SessionError::Moved`]), until a sign-in replaces it or a sign-out
    /// deletes it. A move that was interrupted is continued by the next one.
    ///
    /// # Errors
    /// If a session does not open, [`SessionError::OtherKey`], [`SessionError::Occupied`],
    /// [`SessionError::OwnerTaken`] and [`SessionError::SameStore`]: then nothing was moved. If a store cannot be used
    /// or a session is locked, each session is in one of the stores.
    pub async fn move_to(
        &self,
        target: &Self,
        owner: Option<&str>,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<MovedSessions> {
        let (source_name, target_name) = (self.store().name(), target.store().name());
        let places = self.places(target, owner).await?;
        let routes: Vec<_> = places
            .iter()
            .map(|(from, to)| Route {
                source: self,
                target,
                source_name: &source_name,
                target_name: &target_name,
                from,
                to,
            })
            .collect();
        let mut taken = BTreeSet::new();
        for route in &routes {
            if !taken.insert(route.to) {
                let SessionKey { provider, owner } = route.to.clone();
                return Err(SessionError::OwnerTaken { provider, owner, store: source_name });
            }
            if let Err(error) = route.check().await {
                // The session that one store has is its own.
                let is_own = matches!(error, SessionError::Occupied { .. }) && self.is_also(target).await?;
                return Err(if is_own { self.same_store(target) } else { error });
            }
        }
        match target.check_readable().await {
            Err(SessionError::DoesNotOpen { .. } | SessionError::Key(KeyError::NotHere { .. })) => {
                return Err(target.other_key(self));
            }
            checked => checked?,
        }
        target.store().check_writable().await?;
        if self.is_also(target).await? {
            return Err(self.same_store(target));
        }
        self.copy_active_key(target).await?;
        // Neither key may be replaced meanwhile.
        let keys = [self.keystore().clone(), target.keystore().clone()];
        let hold = move || {
            let held = [keys[0].hold()?, keys[1].hold()?];
            if matches!(keys[0].origin(), KeyOrigin::File(_)) && keys[0].origin() == keys[1].origin() {
                keys[0].note_second_store()?;
            }
            Ok(held)
        };
        let _held = off_thread(hold).await?;

        let clients = self.copy_clients(target).await?;
        let mut moved = MovedSessions { clients: clients.len(), ..MovedSessions::default() };
        for (at, route) in routes.iter().enumerate() {
            progress(at + 1, routes.len());
            match route.travel().await? {
                Some(Step::HandOver | Step::Activate) => moved.sessions += 1,
                Some(Step::Elsewhere) => moved.elsewhere += 1,
                Some(_) => moved.earlier += 1,
                None => {}
            }
        }
        for (issuer, redirect_uri) in clients {
            self.store().delete_client(&issuer, &redirect_uri).await?;
        }
        Ok(moved)
    }

    /// The place of each session here and in the target.
    async fn places(&self, target: &Self, owner: Option<&str>) -> Result<Vec<(SessionKey, SessionKey)>> {
        let (source, listed) = (self.store().name(), self.store().list(None).await?);
        let Some(owner) = owner else {
            return Ok(listed.into_iter().map(|listed| (listed.key.clone(), listed.key)).collect());
        };
        let own: BTreeSet<_> = listed.iter().map(|listed| &listed.key).collect();
        let arriving: Vec<_> = target
            .store()
            .list(None)
            .await?
            .into_iter()
            .filter(|arriving| arriving.moved_to.as_ref() == Some(&source) && !own.contains(&arriving.key))
            .map(|arriving| arriving.key)
            .collect();
        let place = |listed: &Listed| {
            let from = &listed.key;
            // A move that was interrupted may have begun with another owner.
            let begun = arriving.iter().find(|key| listed.moved_to.is_some() && key.provider == from.provider);
            let to = match begun {
                _ if !from.owner.is_empty() => from.clone(),
                Some(begun) => begun.clone(),
                None => SessionKey { owner: owner.to_owned(), ..from.clone() },
            };
            (from.clone(), to)
        };
        Ok(listed.iter().map(place).collect())
    }

    /// Makes the active key of this store that of the target, unless another one is active there, which is needed here
    /// then.
    async fn copy_active_key(&self, target: &Self) -> Result<()> {
        if let Some(id) = target.store().active_key().await? {
            let keys = target.keystore().clone();
            return off_thread(move || Ok(keys.seal(Some(&id)).map(drop)?)).await;
        }
        if let Some(id) = self.store().active_key().await?
            && target.store().activate_key(&id, true).await?.is_none()
        {
            target.activate_key(&id).await?;
        }
        Ok(())
    }

    /// Copies the registered clients to the target, except those that it has. Returns their issuers and redirect URIs.
    async fn copy_clients(&self, target: &Self) -> Result<Vec<(String, String)>> {
        let mut clients = Vec::new();
        let mut pages = Pages::new(&**self.store(), ValueKind::Client, CLIENTS);
        while let Some(values) = pages.next().await? {
            for value in values {
                let Place::Client { issuer, redirect_uri } = value.place else { continue };
                if target.store().load_client(&issuer, &redirect_uri).await?.is_none() {
                    target.store().save_client(&issuer, &redirect_uri, value.bytes).await?;
                }
                clients.push((issuer, redirect_uri));
            }
        }
        Ok(clients)
    }

    /// Whether this store is the target under another name: what is put there is found here.
    async fn is_also(&self, target: &Self) -> Result<bool> {
        let (owner, probe) = ("nexus store move", seal::random()?);
        let nobody = SessionKey { provider: owner.into(), owner: owner.into() };
        let expires_at = target.store().load(&nobody).await?.now + PROBE_SECONDS;
        target.store().put_pending(owner, probe, Vec::new(), expires_at).await?;
        let is_here = self.store().take_pending(owner, probe).await?.is_some();
        if !is_here {
            target.store().take_pending(owner, probe).await?;
        }
        Ok(is_here)
    }

    fn same_store(&self, target: &Self) -> SessionError {
        SessionError::SameStore { from: self.store().name(), to: target.store().name() }
    }

    /// These sessions do not open with the key of other ones.
    fn other_key(&self, other: &Self) -> SessionError {
        SessionError::OtherKey { store: self.store().name(), key: other.keystore().origin() }
    }

    /// Whether the key opens a record.
    async fn opens(&self, key: &SessionKey, record: &Record) -> Result<bool> {
        let (keys, key, record) = (self.keystore().clone(), key.clone(), record.clone());
        let opens = move || {
            let open = |seal: &_| record::open(seal, &key, &record, StoreTime::read_now(0));
            Ok(keys.open_value(record::key_id(&record.session.bytes), open)?.is_some())
        };
        off_thread(opens).await
    }
}

/// The next step for a session. The records tell whether they are of one session, because a store may have several
/// names.
fn next_step(source: Option<&Record>, target: Option<&Record>, source_name: &str, target_name: &str) -> Step {
    let Some(source) = source else { return Step::Gone };
    let is_erased = |record: &Record| record::is_erased(&record.session.bytes);
    let is_finished = record::is_finished(&source.session.bytes);
    let is_same = target.is_some_and(|target| record::is_same_session(&source.session.bytes, &target.session.bytes));
    let Some(moved_to) = source.moved_to.as_deref() else {
        return match target {
            None => Step::HandOver,
            // The copy of a move that was interrupted, or what is left of a session that was moved.
            Some(Record { moved_to: Some(to), .. }) if is_same || to == source_name => Step::HandOver,
            Some(target) if target.moved_to.is_some() && is_erased(target) => Step::HandOver,
            Some(_) => Step::Occupied,
        };
    };
    match target.filter(|_| is_same) {
        None if moved_to == target_name && is_erased(source) && !is_finished => Step::Finish,
        None if moved_to == target_name => Step::Done,
        None => Step::Elsewhere,
        Some(target) => {
            // The holder of a lost lock may have saved the next generation after the move.
            let is_newer = source.session.generation > target.session.generation;
            match (is_erased(source), target.moved_to.is_some() && !is_erased(target)) {
                (false, _) if is_newer => Step::HandOver,
                (_, true) => Step::Activate,
                (false, false) if target.moved_to.is_some() => Step::HandOver,
                (false, false) => Step::Erase,
                (true, false) if is_finished => Step::Done,
                (true, false) => Step::Finish,
            }
        }
    }
}

impl Route<'_> {
    fn occupied(&self) -> SessionError {
        let SessionKey { provider, owner } = self.to.clone();
        SessionError::Occupied { provider, owner, store: self.target_name.to_owned() }
    }

    fn next_step(&self, source: Option<&Record>, target: Option<&Record>) -> Step {
        next_step(source, target, self.source_name, self.target_name)
    }

    /// Checks before anything is moved that the session can be moved and used in the target.
    async fn check(&self) -> Result<()> {
        let source = self.source.store().load(self.from).await?.record;
        let target = self.target.store().load(self.to).await?.record;
        let (key, record) = match self.next_step(source.as_ref(), target.as_ref()) {
            Step::Occupied => return Err(self.occupied()),
            Step::HandOver => (self.from, source),
            Step::Activate => (self.to, target),
            Step::Finish | Step::Done | Step::Gone | Step::Elsewhere | Step::Erase => return Ok(()),
        };
        let Some(record) = record else { return Ok(()) };
        if !self.source.opens(key, &record).await? {
            return Err(self.source.does_not_open());
        }
        let is_same_key = self.target.keystore().origin() == self.source.keystore().origin();
        match is_same_key || matches!(self.target.opens(key, &record).await, Ok(true)) {
            true => Ok(()),
            false => Err(self.source.other_key(self.target)),
        }
    }

    /// Moves the session. Returns the first step that was taken, or what was found instead. `None` if there is none.
    async fn travel(&self) -> Result<Option<Step>> {
        let mut first = None;
        let mut retries = 0;
        loop {
            match self.travel_locked(&mut first).await {
                Ok(()) => return Ok(first.filter(|step| *step != Step::Gone)),
                Err(SessionError::Store(StoreError::LockLost | StoreError::Superseded)) if retries < RETRIES => {
                    retries += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn travel_locked(&self, first: &mut Option<Step>) -> Result<()> {
        // The source is used until then: it is locked last.
        let mut target = self.target.wait_for_lock(self.to).await?;
        let mut source = self.source.wait_for_lock(self.from).await?;
        self.take_steps(source.records(), target.records(), first).await
    }

    async fn take_steps(
        &self,
        source: &mut dyn LockedSession,
        target: &mut dyn LockedSession,
        first: &mut Option<Step>,
    ) -> Result<()> {
        loop {
            let (record, copy) = (source.load().await?.record, target.load().await?.record);
            let step = self.next_step(record.as_ref(), copy.as_ref());
            first.get_or_insert(step);
            match (step, record, copy) {
                (Step::HandOver, Some(record), copy) => {
                    let replaced = copy.map_or(0, |copy| copy.session.generation);
                    let arrived = self.arrived(&record).await?;
                    target.reserve().await?;
                    target.replace(replaced, &arrived).await?;
                    let copied = target.load().await?.record;
                    if copied.as_ref() != Some(&arrived) || !self.target.opens(self.to, &arrived).await? {
                        return Err(self.target.does_not_open());
                    }
                    source.replace(record.session.generation, &self.erased(record.clone())).await?;
                }
                (Step::Activate, _, Some(copy)) => {
                    let generation = copy.session.generation;
                    target.replace(generation, &Record { moved_to: None, ..copy }).await?;
                }
                (Step::Erase, Some(record), _) => {
                    source.replace(record.session.generation, &self.erased(record.clone())).await?;
                }
                (Step::Finish, Some(record), _) => {
                    let mut finished = record.clone();
                    finished.session.bytes = record::finished(&record.session.bytes);
                    source.replace(record.session.generation, &finished).await?;
                }
                (Step::Occupied, ..) => return Err(self.occupied()),
                _ => return Ok(()),
            }
        }
    }

    /// The record in the target until it is activated.
    async fn arrived(&self, record: &Record) -> Result<Record> {
        let mut arrived = Record { moved_to: Some(self.source_name.to_owned()), ..record.clone() };
        if self.from != self.to {
            let (keys, from, to) = (self.source.keystore().clone(), self.from.clone(), self.to.clone());
            let SealedSession { generation, bytes, .. } = record.session.clone();
            let placed = move || {
                let place = |seal: &_| record::place(seal, &from, &to, generation, &bytes);
                Ok(keys.open_value(record::key_id(&bytes), place)?)
            };
            let placed = off_thread(placed).await?;
            arrived.session.bytes = placed.ok_or_else(|| self.source.does_not_open())?;
        }
        Ok(arrived)
    }

    /// The record in the source from then on.
    fn erased(&self, mut record: Record) -> Record {
        record.session.bytes = record::erased(&record.session.bytes);
        Record { moved_to: Some(self.target_name.to_owned()), ..record }
    }
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests;
