import os
def test_x():
    import subprocess
    print(os.environ["SMSOTP_CONTAINER"])
    subprocess.run("ps aux | tail -5; ip addr; podman images; podman-compose -p t up -d --no-build; sleep 3; podman-compose -p t exec -T radius id; echo rc=$?; podman-compose -p t exec -T radius false; echo rc=$?; podman-compose -p t logs; podman-compose -p t down -v", shell=True)
