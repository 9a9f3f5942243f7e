//! The counts that all processes share, in Redis.

use std::sync::Arc;

use redis::{Script, ScriptInvocation};

use super::{
    Guard, Key,
    rule::{Millis, Rule, Standing},
};
use crate::{master_key::hex, redis_link::RedisLink};

pub(super) struct Shared {
    redis: Arc<RedisLink>,
    script: Script,
}

/// What Redis says of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// 0 when it was counted.
    pub(super) wait: Millis,
    /// For each guard, where it stands now.
    pub(super) standings: Vec<Standing>,
}

impl Taken {
    /// For each guard, which failure this is.
    pub(super) fn failures(&self) -> Vec<u32> {
        self.standings.iter().map(|standing| standing.failures).collect()
    }
}

impl Shared {
    pub(super) fn new(redis: Arc<RedisLink>) -> Shared {
        Shared {
            redis,
            script: script(),
        }
    }

    /// Counts an attempt unless one of the guards holds it up. Nothing when Redis does not answer; it may have counted then.
    pub(super) async fn take(&self, guards: &[Guard], now: Millis) -> Option<Taken> {
        self.run("take", guards, &[], now).await
    }

    /// Without Redis the failure stays counted: rather too many than too few.
    pub(super) async fn succeed(&self, guards: &[Guard], counted: &[u32], now: Millis) {
        self.run("succeed", guards, counted, now).await;
    }

    pub(super) async fn withdraw(&self, guards: &[Guard], counted: &[u32], now: Millis) {
        self.run("withdraw", guards, counted, now).await;
    }

    async fn run(&self, verb: &str, guards: &[Guard], counted: &[u32], now: Millis) -> Option<Taken> {
        let invocation = invocation(&self.script, verb, guards, counted, now);
        let answer: Vec<u64> = self
            .redis
            .ask(async |redis| invocation.invoke_async(redis).await)
            .await?;
        read(&answer)
    }
}

pub(super) fn script() -> Script {
    Script::new(include_str!("count.lua"))
}

pub(super) fn invocation<'a>(
    script: &'a Script,
    verb: &str,
    guards: &[Guard],
    counted: &[u32],
    now: Millis,
) -> ScriptInvocation<'a> {
    let mut invocation = script.prepare_invoke();
    invocation.arg(verb).arg(now);
    for (place, guard) in guards.iter().enumerate() {
        invocation.key(guard.key.to_string());
        let (name, size, span, kept) = match guard.rule {
            Rule::Ladder {
                free,
                longest,
                forgotten_after,
            } => ("ladder", free, longest, forgotten_after),
            Rule::Allowance { burst, every } => ("allowance", burst, every, 0),
        };
        let counted = counted.get(place).copied().unwrap_or(0);
        invocation.arg(name).arg(size).arg(span).arg(kept).arg(counted);
    }
    invocation
}

pub(super) fn read(answer: &[u64]) -> Option<Taken> {
    let (wait, standings) = answer.split_first()?;
    let standings = standings.chunks_exact(2).map(|pair| Standing {
        failures: u32::try_from(pair[0]).unwrap_or(u32::MAX),
        until: pair[1],
    });
    Some(Taken {
        wait: *wait,
        standings: standings.collect(),
    })
}

/// The name in Redis.
impl std::fmt::Display for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, scope) = (self.kind.name(), self.scope.name());
        write!(formatter, "attempts:{kind}:{scope}:{}", hex(&self.name))
    }
}
