Feature: Observers alive
  Prometheus, Loki and the shipper dropped, rejected and missed nothing.

  Scenario: No observer dropped, rejected or missed anything under load
    When load of 300 requests a second runs for "1 s" on the usual mix
    Then no observer dropped, rejected or missed anything

  Scenario: The observers' clocks agree
    Then the clocks of the observers agree within "1 s"
