//! What this process knows of the counts: what Redis has answered, and without Redis what it has counted itself. Bounded.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    Guard, Scope,
    rule::{Millis, Rule, Standing},
};

/// In each of the three tables, which take 4 MiB each when full. As many attempts as two cores can compare in the longest
/// wait: an attack that must get through Argon2 fills no table.
const MOST: usize = 57_344;
/// A table that is full is searched for what can go at most this often, however many newcomers knock.
const SEARCHED_EVERY: Millis = 1_000;
/// What a newcomer has to wait for when a table is full.
const FULL_WAIT: Millis = 30_000;

/// Accounts, devices and networks have a table each: a flood of one kind does not drive out the others.
#[derive(Default)]
pub(super) struct Twin(Mutex<[Table; 3]>);

#[derive(Default)]
struct Table {
    /// By the name of the key alone, which kind and scope have gone into.
    entries: HashMap<[u8; 16], Entry>,
    searched_at: Millis,
}

#[derive(Default, Clone, Copy)]
struct Entry {
    standing: Standing,
    /// Until when refusals have been told of.
    told_until: Millis,
    /// From then on it is worth as much as none.
    forgotten_at: Millis,
    /// From then on it may go when there is no room.
    droppable_at: Millis,
}

impl Twin {
    /// How long the attempt has to wait, as far as is known here.
    pub(super) fn wait(&self, guards: &[Guard], now: Millis) -> Millis {
        wait(&self.tables(), guards, now)
    }

    /// Takes in what Redis has answered. Answers may overtake each other: one that is less strict than what is known counts only
    /// when nobody has to wait any more.
    pub(super) fn learn(&self, guards: &[Guard], standings: &[Standing], now: Millis) {
        let mut tables = self.tables();
        for (guard, standing) in guards.iter().zip(standings) {
            let Some(entry) = table(&mut tables, guard).entry(guard, now) else {
                continue;
            };
            let known = entry.standing.until;
            if standing.until >= known || known <= now {
                entry.set(guard.rule, *standing, now);
            }
        }
    }

    /// Counts an attempt by the rules of a process that is alone. Answers how long it has to wait, or 0 and for each guard
    /// which failure this is. Who finds no room is refused: otherwise filling the table would be a way around it.
    pub(super) fn take_alone(&self, guards: &[Guard], now: Millis) -> (Millis, Vec<u32>) {
        let guards = guards.iter().map(|guard| Guard {
            rule: guard.rule.alone(),
            ..*guard
        });
        let guards: Vec<Guard> = guards.collect();
        let mut tables = self.tables();
        let has_room = guards
            .iter()
            .all(|guard| table(&mut tables, guard).entry(guard, now).is_some());
        if !has_room {
            return (FULL_WAIT, Vec::new());
        }
        let wait = wait(&tables, &guards, now);
        if wait > 0 {
            return (wait, Vec::new());
        }
        let mut failures = Vec::new();
        for guard in &guards {
            if let Some(entry) = table(&mut tables, guard).entry(guard, now) {
                entry.set(guard.rule, guard.rule.count(entry.standing, now), now);
                failures.push(entry.standing.failures);
            }
        }
        (0, failures)
    }

    pub(super) fn succeed(&self, guards: &[Guard]) {
        self.change(guards, |_, rule, standing| rule.succeed(standing));
    }

    pub(super) fn withdraw(&self, guards: &[Guard], counted: &[u32]) {
        self.change(guards, |place, rule, standing| {
            rule.withdraw(standing, counted.get(place).copied().unwrap_or(0))
        });
    }

    /// Whether this refusal is the first one. Of a key that is not known here none is: there was no room.
    pub(super) fn tell(&self, guards: &[Guard], now: Millis) -> bool {
        let mut tables = self.tables();
        let mut is_first = false;
        for guard in guards {
            let Some(entry) = table(&mut tables, guard).entries.get_mut(&guard.key.name) else {
                continue;
            };
            let own_wait = guard
                .rule
                .wait(entry.standing, now)
                .max(guard.rule.alone().wait(entry.standing, now));
            if own_wait > 0 && entry.told_until <= now {
                is_first = true;
                entry.told_until = now + own_wait.max(guard.rule.told_for());
            }
        }
        is_first
    }

    /// What the tables of entries take, with an eighth of the places empty and a byte beside each.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let of_place = size_of::<([u8; 16], Entry)>() + 1;
        let tables = self.tables();
        tables
            .iter()
            .map(|table| table.entries.capacity() * 8 / 7 * of_place)
            .sum()
    }

    fn change(&self, guards: &[Guard], change: impl Fn(usize, Rule, Standing) -> Standing) {
        let mut tables = self.tables();
        for (place, guard) in guards.iter().enumerate() {
            let entries = &mut table(&mut tables, guard).entries;
            let Some(entry) = entries.get_mut(&guard.key.name) else {
                continue;
            };
            entry.standing = change(place, guard.rule, entry.standing);
            if entry.standing == Standing::default() {
                entries.remove(&guard.key.name);
            }
        }
    }

    fn tables(&self) -> MutexGuard<'_, [Table; 3]> {
        // A panic of another holder leaves a count that is right but for one attempt.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Nothing when there is no room for a newcomer.
    fn entry(&mut self, guard: &Guard, now: Millis) -> Option<&mut Entry> {
        if self.entries.len() >= MOST && !self.entries.contains_key(&guard.key.name) && !self.make_room(now) {
            return None;
        }
        let entry = self.entries.entry(guard.key.name).or_default();
        if entry.forgotten_at <= now {
            *entry = Entry::default();
            entry.set(guard.rule, Standing::default(), now);
        }
        Some(entry)
    }

    fn make_room(&mut self, now: Millis) -> bool {
        if now.abs_diff(self.searched_at) >= SEARCHED_EVERY {
            self.searched_at = now;
            self.entries.retain(|_, entry| entry.droppable_at > now);
        }
        self.entries.len() < MOST
    }
}

impl Entry {
    fn set(&mut self, rule: Rule, standing: Standing, now: Millis) {
        self.standing = standing;
        self.forgotten_at = now + rule.kept_for(standing, now);
        self.droppable_at = now + rule.kept_at_least_for(standing, now);
    }
}

fn table<'a>(tables: &'a mut [Table; 3], guard: &Guard) -> &'a mut Table {
    &mut tables[place(guard)]
}

fn place(guard: &Guard) -> usize {
    match guard.key.scope {
        Scope::Account => 0,
        Scope::Device => 1,
        Scope::Network => 2,
    }
}

fn wait(tables: &[Table; 3], guards: &[Guard], now: Millis) -> Millis {
    let waits = guards.iter().filter_map(|guard| {
        let entry = tables[place(guard)].entries.get(&guard.key.name)?;
        (entry.forgotten_at > now).then(|| guard.rule.wait(entry.standing, now))
    });
    waits.max().unwrap_or(0)
}
