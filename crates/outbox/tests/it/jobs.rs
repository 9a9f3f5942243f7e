//! The work queue.

use std::{collections::BTreeSet, time::Duration};

use outbox::{Jobs, NewEvent};
use uuid::Uuid;

use crate::fixture::Fixture;

impl Fixture {
    /// Puts and publishes a job of a kind that no other test knows.
    async fn put_job(&self, payload: &str) {
        let mut transaction = self.pool.begin().await.unwrap();
        let job = NewEvent {
            subject: format!("jobs.{}", self.service),
            ..self.event(Uuid::now_v7(), 1, payload)
        };
        outbox::put(&mut transaction, job).await.unwrap();
        transaction.commit().await.unwrap();
        self.relay("svc-test").run_once().await.unwrap();
    }

    fn jobs(&self) -> Jobs {
        Jobs::new(self.nats.clone(), &self.service)
    }
}

#[tokio::test]
async fn each_job_goes_to_one_worker() {
    let fixture = Fixture::new().await;
    for number in 0..10 {
        fixture.put_job(&number.to_string()).await;
    }
    let (mut first, mut second) = (fixture.jobs(), fixture.jobs());

    let mut seen = BTreeSet::new();
    while seen.len() < 10 {
        let message = tokio::select! {
            message = first.next() => message,
            message = second.next() => message,
        };
        message.done().await.unwrap();
        assert!(seen.insert(message.payload().to_vec()), "a job came twice");
    }
}

#[tokio::test]
async fn a_job_put_back_comes_again() {
    let fixture = Fixture::new().await;
    fixture.put_job("again").await;
    let mut jobs = fixture.jobs();

    jobs.next().await.again(Duration::from_millis(50)).await.unwrap();

    let message = jobs.next().await;
    assert_eq!(message.payload(), "again");
    message.done().await.unwrap();
}
