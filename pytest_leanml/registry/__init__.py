"""The model registry: candidate, champion, history, promotion, rollback."""
