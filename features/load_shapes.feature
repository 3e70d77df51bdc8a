Feature: Load of every shape
  Traffic rises, falls and bursts. Whatever the shape, each arrival has its instant, and is sent or counted as unsent.

  Scenario: A ramp sends as many requests as the area under it
    When load that goes from 20 to 100 requests a second runs for "1 s" on the usual mix
    Then exactly 60 requests are in the ledger
    And the achieved rate is within 2 % of the asked rate
    And requests sent, counted and logged agree

  Scenario: Steps follow one another, and a pause sends nothing
    When load runs on the usual mix in these steps
      | requests a second | for    |
      | 50                | 400 ms |
      | 0                 | 200 ms |
      | 150               | 400 ms |
    Then exactly 80 requests are in the ledger
    And requests sent, counted and logged agree

  Scenario: A spike of a tenth of a second is sent whole
    When load of 40 requests a second with a spike of 400 for "100 ms" runs for "1 s" on the usual mix
    Then exactly 76 requests are in the ledger
    And requests sent, counted and logged agree

  Scenario: Clients that know nothing of one another
    When load of 80 requests a second at random instants runs for "1 s" on the usual mix
    Then every request was answered
    And requests sent, counted and logged agree

  Scenario: A load that was recorded is sent again
    Given the database fails for 50 % of requests
    When load of 60 requests a second at random instants runs for "500 ms" on the usual mix
    And the last load is sent again
    Then requests sent, counted and logged agree
    And the achieved rate is within 5 % of the asked rate
