import sys
from app.settings import Settings
from app.main import run
import os
def main(): sys.exit(run(Settings.from_environment(os.environ)))
main()
