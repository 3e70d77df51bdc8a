Feature: Single scrape
  Each instance of the service is read by exactly one target: no instance counts twice, none is missing.

  Scenario: Each instance of the service is scraped exactly once
    Then each instance of the service is scraped exactly once

  Scenario: The sum of the rates is the real rate
    When load of 100 requests a second runs for "2 s" on the usual mix
    Then the rate that Prometheus sees over the load is within 10 % of the real one
