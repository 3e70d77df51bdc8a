Feature: Rules
  Every rule is evaluated in time, without error, on series that exist.

  Scenario: Every rule group has evaluated since the last request, without error
    When 10 requests are sent to GET "/"
    Then every rule group has evaluated since then, without error

  Scenario: Every rule names series that exist
    Then every rule names series that exist
