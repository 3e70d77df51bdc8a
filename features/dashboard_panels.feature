Feature: Dashboards
  Every panel shows fresh data, and the number that an independent computation gives.

  Background:
    Given the database fails for 30 % of requests
    And load of 130 requests a second on the usual mix has run for "3 s" within this feature

  Scenario: Every panel of the service's dashboard answers with fresh data
    Then every panel of dashboard "users-api.json" answers with fresh data

  Scenario Outline: Panel "<panel>" shows what the ledger says
    Then panel "<panel>" of dashboard "users-api.json" shows the ledger's <quantity> within <percent> %

    Examples:
      | panel               | quantity    | percent |
      | Requests per second | rate        | 10      |
      | Error ratio         | error ratio | 15      |
      | Error ratio now     | error ratio | 15      |
