use crate::tables::*;
use futures::StreamExt as _;
use riskgrid_analytics::sql::*;
use std::time::{Duration, Instant};
#[tokio::test]
async fn scratch() {
    let engine = engine();
    for (name, sql) in crate::endings::ENDLESS {
        println!(
            "{name}: {}",
            csv(&engine, &format!("EXPLAIN FORMAT TREE {sql}"))
                .await
                .map(|p| p.matches("Exec").count().to_string())
                .unwrap_or_default()
        );
        let p = csv(&engine, &format!("EXPLAIN {sql}")).await.unwrap();
        println!("{}", p.split("physical_plan").nth(1).unwrap_or(""));
        for _ in 0..4 {
            let mut s = start(
                &engine,
                SqlRequest {
                    timeout: Some(Duration::from_millis(300)),
                    ..request(sql)
                },
            )
            .await
            .unwrap()
            .stream;
            while let Some(Ok(_)) = s.next().await {}
            let t = Instant::now();
            while engine.tasks() > 0 && t.elapsed().as_secs() < 20 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            print!("  free after {:?}", t.elapsed());
        }
        println!();
    }
}
