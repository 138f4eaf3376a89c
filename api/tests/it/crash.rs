//! Killed again and again while events are posted: on the journal nothing that was acknowledged is lost, and nothing is
//! counted twice.

use std::path::PathBuf;

use crate::crash_rig::{Counts, Plan, Truth, Victim, pairs, run};
use crate::server::Server;

impl Victim for Server {
    fn spawn(&mut self) {
        self.spawn();
    }

    async fn ready(&mut self) {
        self.serves();
    }

    fn kill(&mut self) {
        self.kill();
    }

    async fn page(&self, path: &str) -> Option<String> {
        let answer = self.client.get(format!("{}{path}", self.url)).send().await;
        answer.ok()?.text().await.ok()
    }

    async fn csv(&self, sql: &str) -> String {
        let request = self.client.post(format!("{}/v1/sql", self.url));
        let request = request.header("accept", "text/csv");
        let answer = request.json(&serde_json::json!({ "sql": sql })).send().await;
        answer.unwrap().text().await.unwrap()
    }

    fn checkpoints(&self) -> PathBuf {
        self.data().join("checkpoints")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cell_survives_kills_on_the_journal() {
    let plan = Plan::from_environment();
    let mut server = Server::new_on_a_port_of_its_own(&plan.checkpoint_every());
    let url = server.url.clone();
    let truth = run(&mut server, &plan, &["--http", &url]).await;
    compare(&server, &truth).await;
    server.kill();
    server.restart();
    compare(&server, &truth).await;
}

async fn compare(server: &Server, truth: &Truth) {
    truth.holds_in_cells(server).await;
    let counts = Counts::of(&server.page("/metrics").await.unwrap());
    // What was sent again, because its answer was lost, is a duplicate beyond those of the generator. What the intake
    // refuses never gets into the log.
    assert_eq!(counts.accepted, truth.accepted);
    assert!(
        counts.duplicate >= truth.duplicate,
        "{counts:?}, expected {}",
        truth.duplicate
    );
    assert!(counts.refused.is_empty(), "{counts:?}");
    // A bad line that was sent again is a dead letter again, of the same bytes.
    let letters = "SELECT reason, count(DISTINCT hash) FROM dead_letters GROUP BY reason";
    assert_eq!(pairs(&server.csv(letters).await), truth.refused);
}
