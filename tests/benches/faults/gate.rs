//! What stands between the edge and a service, and does to its connections what networks and dying machines do.

use std::{collections::VecDeque, time::Duration};

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    sync::watch,
    time::{Instant, sleep_until},
};

const READ_BYTES: usize = 64 << 10;

/// What becomes of connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    Pass,
    /// Answers come later by so much.
    Slow(Duration),
    /// Connections are accepted, and nothing is ever said on them again, not even when the flow has changed.
    HalfOpen,
    /// Connections are reset as soon as something comes on them.
    Resetting,
}

/// Where the edge connects to instead of the service.
pub struct Gate {
    pub port: u16,
    flow: watch::Sender<Flow>,
}

impl Gate {
    /// In front of the service on the port `service`, until the runtime ends.
    pub async fn open(service: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("opening a gate")?;
        let port = listener.local_addr()?.port();
        let (flow, watched) = watch::channel(Flow::Pass);
        tokio::spawn(async move {
            while let Ok((edge, _)) = listener.accept().await {
                tokio::spawn(carry(edge, service, watched.clone()));
            }
        });
        Ok(Self { port, flow })
    }

    pub fn set(&self, flow: Flow) {
        self.flow.send_replace(flow);
    }
}

/// The end of a connection at either side is the end of both, and no news.
async fn carry(edge: TcpStream, service: u16, flow: watch::Receiver<Flow>) -> Option<()> {
    edge.set_nodelay(true).ok()?;
    let now = *flow.borrow();
    let harm = match now {
        harm @ (Flow::HalfOpen | Flow::Resetting) => harm,
        Flow::Pass | Flow::Slow(_) => {
            let service = TcpStream::connect(("127.0.0.1", service)).await.ok()?;
            service.set_nodelay(true).ok()?;
            return carry_on(edge, service, flow).await;
        }
    };
    end(edge, harm).await
}

async fn carry_on(mut edge: TcpStream, mut service: TcpStream, flow: watch::Receiver<Flow>) -> Option<()> {
    let mut watched = flow.clone();
    let (mut from_edge, to_edge) = edge.split();
    let (from_service, mut to_service) = service.split();
    let is_harmful = |flow: &Flow| matches!(flow, Flow::HalfOpen | Flow::Resetting);
    let harm = tokio::select! {
        _ = tokio::io::copy(&mut from_edge, &mut to_service) => return None,
        _ = answers(from_service, to_edge, flow) => return None,
        harm = watched.wait_for(is_harmful) => *harm.ok()?,
    };
    end(edge, harm).await
}

async fn end(mut edge: TcpStream, harm: Flow) -> Option<()> {
    let mut buffer = vec![0; READ_BYTES];
    let is_reset = harm == Flow::Resetting;
    while matches!(edge.read(&mut buffer).await, Ok(1..)) && !is_reset {}
    if is_reset {
        edge.set_zero_linger().ok()?;
    }
    Some(())
}

/// Hands on what the service says, in its order, as late as the flow wants it.
async fn answers(
    mut service: tcp::ReadHalf<'_>,
    mut edge: tcp::WriteHalf<'_>,
    flow: watch::Receiver<Flow>,
) -> std::io::Result<()> {
    let mut late: VecDeque<(Instant, Bytes)> = VecDeque::new();
    let mut buffer = BytesMut::new();
    loop {
        let due = late.front().map(|(due, _)| *due);
        buffer.reserve(READ_BYTES);
        tokio::select! {
            count = service.read_buf(&mut buffer) => {
                if count? == 0 {
                    return Ok(());
                }
                let bytes = buffer.split().freeze();
                match (delay(&flow), due) {
                    (Duration::ZERO, None) => edge.write_all(&bytes).await?,
                    (delay, _) => late.push_back((Instant::now() + delay, bytes)),
                }
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                if let Some((_, bytes)) = late.pop_front() {
                    edge.write_all(&bytes).await?;
                }
            }
        }
    }
}

fn delay(flow: &watch::Receiver<Flow>) -> Duration {
    match *flow.borrow() {
        Flow::Slow(delay) => delay,
        Flow::Pass | Flow::HalfOpen | Flow::Resetting => Duration::ZERO,
    }
}
