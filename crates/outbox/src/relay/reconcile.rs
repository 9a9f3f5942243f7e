//! Noticing that JetStream has lost the events, and giving them to it again.

use anyhow::Context;
use async_nats::jetstream::stream::Info;
use sqlx::PgConnection;

use super::Relay;
use crate::{
    store::{self, SeenStream},
    streams::{self, Stream},
};

impl Relay {
    /// Makes missing streams. A stream of events that is not the one seen before, or that ends before the last event
    /// acknowledged to us, has lost some: all that is retained is published again, and consumers know what they know.
    ///
    /// The work queue needs none of this: whoever owns the jobs hints again at what is still due.
    pub(super) async fn reconcile(&self, connection: &mut PgConnection) -> anyhow::Result<()> {
        streams::ensure(&self.context, Stream::Jobs).await?;
        let info = streams::ensure(&self.context, Stream::Events).await?;
        let name = Stream::Events.name();
        let found = found(&info)?;
        match store::seen_stream(connection, name).await? {
            None => store::remember_stream(connection, name, found).await?,
            Some(seen) if has_lost(seen, found) => {
                let count = store::publish_again(connection, name, found).await?;
                tracing::warn!(
                    stream = name,
                    count,
                    "the stream has lost events, publishing the retained ones again"
                );
            }
            Some(_) => {}
        }
        Ok(())
    }
}

fn found(info: &Info) -> anyhow::Result<SeenStream> {
    Ok(SeenStream {
        created_nanoseconds: i64::try_from(info.created.unix_timestamp_nanos()).context("reading the stream's age")?,
        last_sequence: i64::try_from(info.state.last_sequence).context("reading the stream's end")?,
    })
}

fn has_lost(seen: SeenStream, found: SeenStream) -> bool {
    seen.created_nanoseconds != found.created_nanoseconds || found.last_sequence < seen.last_sequence
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(created_nanoseconds: i64, last_sequence: i64) -> SeenStream {
        SeenStream {
            created_nanoseconds,
            last_sequence,
        }
    }

    #[test]
    fn a_younger_stream_has_lost_events() {
        assert!(has_lost(stream(1, 0), stream(2, 0)));
    }

    #[test]
    fn a_stream_that_ends_before_what_it_acknowledged_has_lost_events() {
        assert!(has_lost(stream(1, 7), stream(1, 6)));
    }

    #[test]
    fn a_stream_that_grew_has_lost_nothing() {
        assert!(!has_lost(stream(1, 7), stream(1, 9)));
    }
}
