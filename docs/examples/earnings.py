"""Write earnings.csv and earnings-more.csv: 15,992 US workers, from the package `causaldata`.

The Current Population Survey's comparison rows of Dehejia and Wahba (1999): what men earned in
1974, 1975 and 1978, in dollars. The source cuts earnings off at about 25,565 dollars.
"""

from causaldata import cps_mixtape

rows = cps_mixtape.load_pandas().data
rows.insert(0, "person_id", [f"cps-{number:05d}" for number in range(len(rows))])
rows["ethnicity"] = "other"
rows.loc[rows["black"] == 1, "ethnicity"] = "black"
rows.loc[rows["hisp"] == 1, "ethnicity"] = "hispanic"
rows["married"] = rows["marr"] == 1
rows = rows.rename(columns={"educ": "years_of_school"})
rows = rows.rename(columns={f"re{year}": f"earned_19{year}" for year in (74, 75, 78)})
columns = ["person_id", "age", "years_of_school", "married", "ethnicity"]
columns += ["earned_1974", "earned_1975", "earned_1978"]
rows = rows[columns].round(2).sample(frac=1, random_state=1978)  # the file is sorted
rows[:12_000].to_csv("earnings.csv", index=False)
rows[12_000:].to_csv("earnings-more.csv", index=False)
