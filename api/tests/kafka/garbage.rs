//! What does not belong in a topic.
