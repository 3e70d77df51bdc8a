Feature: Quantiles
  The histogram's quantiles lie between the same bucket edges as the client's.

  Scenario Outline: The <quantile> quantile of <path> lies in the bucket of the client's
    Given the database fails for 0 % of requests
    When load of 130 requests a second to "<path>" runs for "1 s"
    Then quantile <quantile> of "<path>" lies in the bucket of the client's

    Examples:
      | quantile | path       |
      | 0.5      | /api/users |
      | 0.9      | /api/users |

  Scenario: The histogram counts exactly the requests that were sent
    When 40 requests are sent to GET "/api/users"
    Then counter "app_request_latency_seconds_count" with endpoint "/api/users" rises by exactly 40
