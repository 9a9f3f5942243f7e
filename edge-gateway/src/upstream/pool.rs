//! One worker's connections to the endpoints of one address, and the choice between them for each call.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use tonic::{Code, Status};

use super::connection::{Connection, Windows};
use super::endpoints::{CONNECT_TIMEOUT, Endpoint, Endpoints, ONLY_CONNECT_TIMEOUT};
use super::failure::ConnectionFailure;
use super::load::{self, Ending, Load};

/// Connections live on the runtime of the worker that made them: a call then wakes no other thread.
pub(crate) enum Pool {
    /// There is nothing to choose.
    One(Connection),
    Several {
        endpoints: Arc<Endpoints>,
        windows: Windows,
        members: RefCell<Members>,
    },
}

/// The endpoints as this worker has last seen them.
#[derive(Default)]
pub(crate) struct Members {
    table: Arc<Vec<Arc<Endpoint>>>,
    near: Vec<Rc<Member>>,
    far: Vec<Rc<Member>>,
}

struct Member {
    endpoint: Arc<Endpoint>,
    connection: Connection,
    load: Load,
}

/// The endpoint for one call.
pub(crate) struct Picked {
    pub(crate) connection: Connection,
    /// To be told how the call ended, and kept until then.
    pub(crate) ticket: Ticket,
}

/// Counts a call as under way for as long as it lives.
pub(crate) struct Ticket {
    connection: Connection,
    /// Nothing where there is nothing to choose.
    counted: Option<Counted>,
}

struct Counted {
    member: Rc<Member>,
    began: Instant,
    is_timed: bool,
    ending: Ending,
}

impl Pool {
    pub(crate) fn new(endpoints: &Arc<Endpoints>, windows: Windows) -> anyhow::Result<Self> {
        match endpoints.only() {
            Some(only) => {
                let connection = Connection::new(&only.address, ONLY_CONNECT_TIMEOUT, windows);
                Ok(Self::One(
                    connection.with_context(|| format!("connecting to {}", only.address))?,
                ))
            }
            None => Ok(Self::Several {
                endpoints: Arc::clone(endpoints),
                windows,
                members: RefCell::default(),
            }),
        }
    }

    /// Nothing when no endpoint is known.
    pub(crate) fn pick(&self) -> Option<Picked> {
        let (endpoints, windows, members) = match self {
            Self::One(connection) => return Some(Picked::uncounted(connection.clone())),
            Self::Several {
                endpoints,
                windows,
                members,
            } => (endpoints, *windows, members),
        };
        let now = Instant::now();
        members.borrow_mut().follow(endpoints, windows, now);
        let members = members.borrow();
        let member = members.choose(now, rand::random())?;
        Some(Picked::counted(member, now))
    }

    /// One for each endpoint.
    pub(crate) fn connections(&self) -> Vec<Connection> {
        match self {
            Self::One(connection) => vec![connection.clone()],
            Self::Several {
                endpoints,
                windows,
                members,
            } => {
                members.borrow_mut().follow(endpoints, *windows, Instant::now());
                members.borrow().all().map(|member| member.connection.clone()).collect()
            }
        }
    }
}

impl Members {
    /// Takes a new table over. A call under way keeps the connection of an endpoint that is gone, and ends there.
    fn follow(&mut self, endpoints: &Endpoints, windows: Windows, now: Instant) {
        let table = endpoints.table();
        if Arc::ptr_eq(&self.table, &table) {
            return;
        }
        let members = table.iter().filter_map(|endpoint| {
            let known = self.all().find(|member| Arc::ptr_eq(&member.endpoint, endpoint));
            known
                .cloned()
                .or_else(|| Member::new(endpoint, windows, now).map(Rc::new))
        });
        let (near, far) = members.partition(|member| member.endpoint.is_near);
        *self = Self {
            table: Arc::clone(&table),
            near,
            far,
        };
    }

    /// One of the own zone as long as one of it can be reached. When none can be reached anywhere, a call to any tells why.
    fn choose(&self, now: Instant, random: u64) -> Option<&Rc<Member>> {
        let cost = |member: &Rc<Member>| (!member.endpoint.is_down()).then(|| member.load.cost(now));
        load::choose(&self.near, random, cost)
            .or_else(|| load::choose(&self.far, random, cost))
            .or_else(|| self.all().next())
    }

    fn all(&self) -> impl Iterator<Item = &Rc<Member>> {
        self.near.iter().chain(&self.far)
    }
}

impl Member {
    /// Sources of addresses give only such as can be read.
    fn new(endpoint: &Arc<Endpoint>, windows: Windows, now: Instant) -> Option<Self> {
        let connection = Connection::new(&endpoint.address, CONNECT_TIMEOUT, windows);
        let connection = connection.inspect_err(|error| {
            tracing::error!(
                endpoint = endpoint.address,
                error = format!("{error:#}"),
                "an endpoint has no address"
            );
        });
        Some(Self {
            endpoint: Arc::clone(endpoint),
            connection: connection.ok()?,
            load: Load::new(now),
        })
    }
}

impl Picked {
    fn uncounted(connection: Connection) -> Self {
        let ticket = Ticket {
            connection: connection.clone(),
            counted: None,
        };
        Self { connection, ticket }
    }

    fn counted(member: &Rc<Member>, now: Instant) -> Self {
        member.load.begin(now);
        let counted = Counted {
            member: Rc::clone(member),
            began: now,
            is_timed: true,
            ending: Ending::Abandoned,
        };
        let ticket = Ticket {
            connection: member.connection.clone(),
            counted: Some(counted),
        };
        let connection = member.connection.clone();
        Self { connection, ticket }
    }
}

impl Ticket {
    /// For calls that last as long as their caller likes.
    pub(crate) fn untimed(mut self) -> Self {
        if let Some(counted) = &mut self.counted {
            counted.is_timed = false;
        }
        self
    }

    /// How the call ended. Whether that is news: the end of a connection is one failure, however many calls were on it.
    pub(crate) fn note<T>(&mut self, outcome: &Result<T, Status>) -> bool {
        let failure = outcome.as_ref().err().and_then(ConnectionFailure::of);
        let is_news = failure != Some(ConnectionFailure::Broken) || self.connection.tell_end();
        let Some(counted) = &mut self.counted else {
            return is_news;
        };
        let endpoint = &counted.member.endpoint;
        counted.ending = match outcome {
            Err(status) if matches!(status.code(), Code::ResourceExhausted | Code::Unavailable) => Ending::Refused,
            Ok(_) | Err(_) if failure.is_some() => Ending::Refused,
            Ok(_) | Err(_) => Ending::Answered,
        };
        match failure {
            Some(ConnectionFailure::Unreachable) => endpoint.unreachable(),
            Some(ConnectionFailure::Broken) if !is_news => {}
            Some(ConnectionFailure::NotProcessed | ConnectionFailure::Broken | ConnectionFailure::Reset) => {
                endpoint.broken();
            }
            None => endpoint.answered(),
        }
        is_news
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let now = Instant::now();
        let latency = self.is_timed.then(|| now.saturating_duration_since(self.began));
        self.member.load.end(now, latency, self.ending);
    }
}
