Feature: Fresh request ids
  A client that brings no request id gets one, and never another client's.

  Scenario: A request without an id gets a UUID of its own, not one that another request has
    Then each of 5 probes without a request id is answered with a fresh UUID
