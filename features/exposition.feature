Feature: The exposition
  What the service offers to Prometheus is what its rules and dashboards assume.

  Scenario: Names, types and buckets are as declared
    Then the service exposes
      | metric                      | type      | labels                          | buckets                    |
      | app_request_count           | counter   | endpoint, method, http_status   |                            |
      | app_request_latency_seconds | histogram | endpoint, method                | 0.01 0.05 0.1 0.5 1 2 5    |
      | app_error_count             | counter   | error_type, endpoint            |                            |
      | app_active_requests         | gauge     |                                 |                            |

  Scenario: Every error has a series before it ever happens
    Then counter "app_error_count_total" exists at 0 or more for
      | error_type     | endpoint   |
      | database_error | /api/users |
      | client_error   | /api/error |
      | server_error   | /api/error |
      | client_error   | /api/echo  |
      | client_error   | unmatched  |

  Scenario: The exposition is offered as OpenMetrics to who asks for it
    When a request is sent to GET "/metrics" with header "Accept" set to "application/openmetrics-text; version=1.0.0"
    Then the response has status 200
    And the response names "# EOF"

  Scenario: Reading the metrics is not traffic
    When the metrics are read 20 times
    Then no request is counted but the barrier's own
