"""The room that enforces the contract: settings, the compiled document, the stages a request passes."""
