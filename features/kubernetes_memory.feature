Feature: Memory of pods
  Who takes more than its limit is ended, and seen to be; who asks for nothing goes first when there is none left.

  @needs_kubernetes @serial
  Scenario: A pod that takes more memory than its limit is reported with how it was ended, and what it said last
    When a release is rolled out that runs
      """
      exec python3 -c "
      taken = []
      for times in range(1, 9):
          taken.append(b'x' * 100 * 2**20)
          print(f'took {times}00 MiB', flush=True)
      "
      """
    Then the service is reported as "CrashLoopBackOff" with exit code 137 and the line "took 200 MiB" within "60 s"

  @needs_kubernetes @serial
  Scenario: Where its node tells of it, it is reported as killed for its memory
    Given the nodes tell of containers that the kernel ended for their memory
    When a release is rolled out that runs
      """
      exec python3 -c "taken = [bytearray(b'x' * 2**20) for _ in range(1024)]"
      """
    Then the service is reported as "OOMKilled" with exit code 137 within "60 s"

  @needs_kubernetes @serial
  Scenario: A pod that asks for no memory and takes it would be evicted before anything of the stack
    Given a pod beside the stack that asks for no memory takes 64 MiB of it
    Then everything of the stack asks for memory, and that pod would be ended first
