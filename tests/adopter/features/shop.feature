Feature: The shop's monitoring
  Another team's service, with nothing but its own table in pyproject.toml.

  Scenario: A cart is counted and logged to the last request
    When 50 requests are sent to GET "/cart"
    Then every response has status 200
    And counter "shop_http_requests_total" with route "/cart" rises by exactly 50
    And requests sent, counted and logged agree
    And nothing is in flight

  Scenario Outline: <what> is counted once, under its kind and route
    When 20 requests are sent to <method> "<path>"
    Then every response has status <code>
    And these counters rise by exactly
      | counter                  | labels                            | by |
      | shop_failures_total      | kind="<kind>", route="<path>"     | 20 |
      | shop_http_requests_total | route="<path>", code="<code>"     | 20 |
    And every error is visible in the request count, in the error count and in the log

    Examples:
      | what               | method | path      | code | kind    |
      | A refused checkout | POST   | /checkout | 402  | refused |
      | A broken page      | GET    | /broken   | 500  | broken  |

  Scenario: The usual mix arrives in Loki whole
    When load of 80 requests a second runs for "2 s" on the usual mix
    Then requests sent, counted and logged agree
    And every line arrives exactly once, in order, within "5 s"
    And each request id joins exactly one line with the same status and a duration that fits
    And no observer dropped, rejected or missed anything
    And every request was answered

  Scenario: The median of a cart lies in the bucket of the client's
    When load of 60 requests a second to "/cart" runs for "2 s"
    Then quantile 0.5 of "/cart" lies in the bucket of the client's

  Scenario: Each instance is scraped exactly once
    Then each instance of the service is scraped exactly once

  Scenario: Probes are not traffic
    When liveness and readiness are asked 20 times each
    Then no request is counted but the barrier's own
    And no line is logged but the barrier's own

  Scenario: Lines carry the labels of the shop
    When 5 requests are sent to GET "/cart"
    Then every line of those requests has the labels
      | label     | value  |
      | app       | shop   |
      | namespace | market |
      | container | shop   |

  @needs_stopping
  Scenario: A stopped log shipper blocks the count instead of passing it
    Given component "promtail" is stopped
    When 10 requests are sent to GET "/cart"
    Then the three-way count is blocked by the "logs" pipeline

  @needs_processes
  Scenario: A restart loses no request that was counted before it
    When 30 requests are sent to GET "/cart" around a restart of the service
    Then the request counter tells all of them, across exactly one reset
    And the service was unseen for at most "8 s"
