"""One question from request to stored answer, in a worker thread, watched from the event loop."""
