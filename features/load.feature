Feature: The load driver is honest
  The ledger is the truth that everything is held against, so the driver must not lie either.

  Scenario: The asked rate is achieved, and reported beside it
    When load of 100 requests a second runs for "1 s" on the usual mix
    Then the achieved rate is within 2 % of the asked rate

  Scenario: A burst sends exactly as many requests as it says
    When 321 requests are sent to GET "/"
    Then exactly 321 requests are in the ledger

  Scenario: A request that times out is in the ledger as one that timed out
    Given the service hangs
    When 4 requests that wait at most "300 ms" are sent to GET "/api/users"
    Then the ledger holds 4 requests that failed by "timeout"
    When the service goes on
    Then requests sent, counted and logged agree

  @needs_stopping @serial
  Scenario: A refused connection is in the ledger as refused
    Given component "service" is stopped
    When 5 requests are sent to GET "/"
    Then the ledger holds 5 requests that failed by "refused"
