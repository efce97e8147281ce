//! The match-makers keep to the contract.

mod helper;

use couplet_meeting::MemoryEngine;
use helper::{contract, meet, offer};

#[tokio::test(start_paused = true)]
async fn the_one_in_memory_keeps_to_the_contract() {
    let engine = MemoryEngine::new();
    contract::holds(&engine, tokio::time::advance).await;
    engine.clear();
    assert!(engine.is_empty());
    meet(&engine, &offer(1, None)).await;
    assert_eq!(engine.len(), 1);
}
