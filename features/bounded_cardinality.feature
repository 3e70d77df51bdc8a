Feature: Bounded cardinality
  Nothing that a stranger sends makes a new series.

  Scenario: Hostile paths and methods make no new label value
    When 200 hostile requests are sent
    Then no metric of the service has a new label value
    And requests sent, counted and logged agree by status

  Scenario: Hostile requests leave no line that cannot be read
    When 100 hostile requests are sent
    Then every line since then can be read
    And nothing is in flight
