Feature: The shop's monitoring
  Another team's service, with nothing but its own table in pyproject.toml.

  Scenario: A cart is counted and logged to the last request
    When 50 requests are sent to GET "/cart"
    Then every response has status 200
    And counter "shop_http_requests_total" with route "/cart" rises by exactly 50
    And requests sent, counted and logged agree
    And nothing is in flight

  Scenario: A refused checkout is counted once as refused
    When 20 requests are sent to POST "/checkout"
    Then every response has status 402
    And counter "shop_failures_total" with kind "refused" rises by exactly 20

  Scenario: The usual mix arrives in Loki whole
    When load of 80 requests a second runs for "2 s" on the usual mix
    Then requests sent, counted and logged agree
    And every line arrives exactly once, in order, within "5 s"
    And each request id joins exactly one line with the same status and a duration that fits
    And no observer dropped, rejected or missed anything

  Scenario: Each instance is scraped exactly once
    Then each instance of the service is scraped exactly once

  Scenario: Probes are not traffic
    When liveness and readiness are asked 20 times each
    Then no request is counted but the barrier's own
