Feature: Probes
  Readiness says whether to send traffic; liveness says whether to restart. Neither is traffic.

  Scenario: A database outage takes the service out of rotation, not down
    When the database goes down
    Then readiness turns red within "1 s"
    And liveness stays green throughout the next "500 ms"
    When the database comes back
    Then readiness turns green within "1 s"

  Scenario: Readiness says why it is red
    When the database goes down
    Then readiness turns red within "1 s"
    And readiness gives the reason "database"

  Scenario: Probes are not traffic
    When liveness and readiness are asked 50 times each
    Then no request is counted but the barrier's own
    And no line is logged but the barrier's own

  Scenario: Probes answer while every worker is busy
    Given every query takes "300 ms" longer
    And load of 100 requests a second to GET "/api/users"
    Then liveness answers within "1 s" throughout the next "500 ms"
    And readiness answers within "1 s" throughout the next "500 ms"

  Scenario: A service that hangs still answers its probes
    Given the service hangs
    And load of 20 requests a second to GET "/api/users"
    Then liveness answers within "1 s" throughout the next "500 ms"
    When the service goes on
    Then readiness turns green within "2 s"

  Scenario: Clients that announce a body and never send it cannot keep the probes from answering
    Then both probes answer within "1 s" while 250 clients stall their bodies

  Scenario: What the probes say agrees with what was really so, at every ask
    When the database is down for "500 ms" while the probes are watched
    Then readiness was red exactly while the database was down, within "300 ms"
    And liveness was green all the time
